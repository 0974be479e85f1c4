"""What a restart remembers of the last check, and when it does not go by it."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from launcher.isolationcheck import NotRunnable
from launcher.metrics import REGISTRY
from tests.unit.counted import Samples
from tests.unit.gate.scene import BROKEN, HOLDS, Scene, keeping, kept


async def test_a_pass_that_cannot_be_remembered_is_one(memory: Path) -> None:
    scene = Scene(memory.parent / "a full disk" / memory.name)
    await kept(scene, lambda: scene.gate.is_open and scene.checks == 1)


async def test_without_the_api_server_no_pass_is_recalled(memory: Path) -> None:
    await Scene(memory).gate.check_now()
    again = Scene(memory)
    again.state = NotRunnable("The API server does not answer.")
    await kept(again, lambda: again.gate.verdict.reason == "The API server does not answer.")
    assert not again.gate.is_open


async def test_a_restart_reuses_a_recent_pass(memory: Path) -> None:
    await Scene(memory).gate.check_now()
    again = Scene(memory)
    await kept(again, lambda: again.gate.is_open)
    assert again.checks == 0
    assert (again.gate.verdict.rows, again.gate.verdict.accepted) == (HOLDS.rows, HOLDS.accepted)


async def test_a_restart_with_other_policies_checks_anew(memory: Path) -> None:
    await Scene(memory).gate.check_now()
    again = Scene(memory)
    again.state = {"policies": 2}
    await kept(again, lambda: again.gate.is_open)
    assert again.checks == 1


@pytest.mark.parametrize("age", [-3600.0, 7200.0], ids=["of the future", "too old"])
async def test_a_pass_of_another_time_is_not_reused(memory: Path, age: float) -> None:
    await Scene(memory).gate.check_now()
    memory.write_text(json.dumps(json.loads(memory.read_text()) | {"at": time.time() - age}))
    again = Scene(memory, recheckEvery=3600)
    await kept(again, lambda: again.gate.is_open)
    assert again.checks == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"state": 1, "at": "x", "rows": []}', "null"])
async def test_a_broken_memory_is_none(memory: Path, text: str) -> None:
    memory.write_text(text)
    scene = Scene(memory)
    await kept(scene, lambda: scene.gate.is_open)
    assert scene.checks == 1


async def test_a_regular_check_comes_when_it_is_due(memory: Path) -> None:
    await Scene(memory).gate.check_now()
    memory.write_text(json.dumps(json.loads(memory.read_text()) | {"at": time.time() - 59.5}))
    scene = Scene(memory, recheckEvery=60)
    await kept(scene, lambda: scene.gate.is_open)
    assert scene.checks == 0
    await kept(scene, lambda: scene.checks == 1)


async def test_it_shuts_although_the_memory_of_a_pass_stays(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(memory)
    await scene.gate.check_now()

    def read_only(self: Path, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", read_only)
    scene.outcome = BROKEN
    await scene.gate.check_now()
    assert not scene.gate.is_open


async def test_a_recalled_pass_has_its_own_age(memory: Path) -> None:
    await Scene(memory).gate.check_now()
    kept = json.loads(memory.read_text())
    memory.write_text(json.dumps({**kept, "at": time.time() - 100}))
    async with keeping(Scene(memory)):
        await asyncio.sleep(0.05)
    age = time.time() - Samples(REGISTRY).value("v6_node_isolation_check_timestamp_seconds")
    assert age == pytest.approx(100, abs=5)
