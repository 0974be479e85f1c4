"""The gate: when runs may start, and when the isolation is tried again."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from launcher import gate as module
from launcher.isolationcheck import NotRunnable, Verdict
from launcher.metrics import REGISTRY
from tests.unit.counted import Samples, moving
from tests.unit.gate.scene import BROKEN, HOLDS, Scene, keeping, kept, until


async def test_it_is_shut_until_a_check_passed(memory: Path) -> None:
    scene = Scene(memory)
    assert not scene.gate.is_open
    scene.outcome = BROKEN
    assert not (await scene.gate.check_now()).passed
    assert not scene.gate.is_open
    scene.outcome = HOLDS
    await scene.gate.check_now()
    assert scene.gate.is_open
    assert scene.said == [(False, BROKEN.reason), (True, "")]


async def test_a_check_that_cannot_be_carried_out_is_none_that_passed(memory: Path) -> None:
    scene = Scene(memory)
    scene.outcome = NotRunnable("The image can't be pulled.")
    verdict = await scene.gate.check_now()
    assert (verdict.passed, verdict.reason) == (False, "The image can't be pulled.")
    assert not scene.gate.is_open


async def test_a_check_that_finds_no_place_takes_nothing_back_while_all_is_as_it_was(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(memory, recheckEvery=100)
    await scene.gate.check_now()
    scene.outcome = NotRunnable("exceeded quota: full")
    assert not (await scene.gate.check_now()).passed
    assert scene.gate.is_open and scene.gate.may_start
    assert scene.said == [(True, ""), (False, "exceeded quota: full")]
    passed = time.time()
    monkeypatch.setattr(module.time, "time", lambda: passed + 201)
    await scene.gate.check_now()
    assert not scene.gate.is_open, "not for ever"


@pytest.mark.parametrize("what", ["another policy", "a policy that is changing", "no answer", "a breach before"])
async def test_one_that_finds_no_place_shuts_it_where_something_changed(memory: Path, what: str) -> None:
    scene = Scene(memory, recheckEvery=100)
    await scene.gate.check_now()
    scene.outcome = NotRunnable("exceeded quota: full")
    match what:
        case "another policy":
            scene.state = {"policies": 2}
        case "a policy that is changing":
            scene.gate.policies_changed()
        case "no answer":
            scene.state = NotRunnable("the API server does not answer")
        case "a breach before":
            scene.outcome = BROKEN
            await scene.gate.check_now()
            scene.outcome = NotRunnable("exceeded quota: full")
    await scene.gate.check_now()
    assert not scene.gate.is_open


async def test_it_tries_again_until_it_passes(memory: Path) -> None:
    scene = Scene(memory)
    scene.outcome = BROKEN
    await kept(scene, lambda: scene.checks >= 3)
    assert scene.said == [(False, BROKEN.reason)], "once for each change of mind"
    scene.outcome = HOLDS
    await kept(scene, lambda: scene.gate.is_open)


async def test_a_changed_policy_is_tried_at_once_and_shuts_it(memory: Path) -> None:
    scene = Scene(memory)
    closed: list[bool] = []
    scene.gate.on_breach = lambda: closed.append(True)
    async with keeping(scene):
        await asyncio.wait_for(scene.gate.opened(), 5)
        scene.state, scene.outcome = {"policies": 2}, BROKEN
        scene.gate.policies_changed()
        await asyncio.wait_for(scene.gate.closed(), 5)
        assert closed == [True]
        await until(lambda: not memory.exists())  # a restart must not remember a pass that is over
        scene.outcome = HOLDS
        await asyncio.wait_for(scene.gate.opened(), 5)


async def test_an_event_that_changes_nothing_is_not_tried(memory: Path) -> None:
    scene = Scene(memory)
    async with keeping(scene):
        await asyncio.wait_for(scene.gate.opened(), 5)
        scene.gate.policies_changed()
        await asyncio.sleep(0.1)
        assert scene.checks == 1


async def test_without_the_api_server_it_shuts_and_opens_again_afterwards(memory: Path) -> None:
    scene = Scene(memory)
    async with keeping(scene):
        await asyncio.wait_for(scene.gate.opened(), 5)
        scene.state = NotRunnable("The API server does not answer.")
        scene.gate.policies_changed()
        await asyncio.wait_for(scene.gate.closed(), 5)
        assert scene.gate.verdict.reason == "The API server does not answer."
        scene.state = {"policies": 1}
        await asyncio.wait_for(scene.gate.opened(), 5)


async def test_where_it_is_not_required_it_is_open_and_says_what_it_sees(memory: Path, caplog: Any) -> None:
    scene = Scene(memory, required=False)
    assert scene.gate.is_open
    assert "isolation.required is false" in caplog.text
    scene.outcome = BROKEN
    await scene.gate.check_now()
    assert scene.gate.is_open
    assert scene.said == [(False, BROKEN.reason)]


async def test_a_breach_is_told_also_by_the_first_check_after_a_restart(memory: Path) -> None:
    scene = Scene(memory)
    scene.outcome = BROKEN
    told: list[bool] = []
    scene.gate.on_breach = lambda: told.append(True)
    await scene.gate.check_now()
    assert told == [True]


@pytest.mark.parametrize("outcome", [NotRunnable("No image."), Verdict(False, "A policy is missing.")])
async def test_a_check_that_finds_nobody_outside_is_no_breach(memory: Path, outcome: Verdict | Exception) -> None:
    scene = Scene(memory)
    scene.outcome = outcome
    scene.gate.on_breach = lambda: pytest.fail("nobody got out")
    await scene.gate.check_now()
    assert not scene.gate.is_open


async def test_whatever_goes_wrong_with_a_check_it_shuts(memory: Path) -> None:
    scene = Scene(memory)
    await scene.gate.check_now()
    scene.outcome = RuntimeError("a fault of the program")
    await scene.gate.check_now()
    assert not scene.gate.is_open
    assert "a fault of the program" in scene.gate.verdict.reason


async def test_nothing_starts_between_a_change_and_the_look_at_it(memory: Path) -> None:
    scene = Scene(memory)
    resumed: list[bool] = []
    scene.gate.on_resume = lambda: resumed.append(True)
    async with keeping(scene):
        await asyncio.wait_for(scene.gate.opened(), 5)
        scene.gate.policies_changed()
        assert scene.gate.is_open
        assert not scene.gate.may_start
        await until(lambda: scene.gate.may_start)
        assert resumed == [True]
        assert scene.checks == 1, "nothing that matters had changed"
        scene.state = {"policies": 2}
        scene.gate.policies_changed()
        assert not scene.gate.may_start
        await until(lambda: scene.gate.may_start)
        assert (scene.checks, resumed) == (2, [True, True])


async def test_where_isolation_is_not_required_nothing_waits(memory: Path) -> None:
    scene = Scene(memory, required=False)
    scene.gate.policies_changed()
    assert scene.gate.may_start


@pytest.mark.parametrize(
    ("outcome", "result", "passed"),
    [(HOLDS, "passed", 1), (BROKEN, "failed", 0), (NotRunnable("no image"), "unknown", 0)],
    ids=["holds", "broken", "not runnable"],
)
async def test_a_check_is_counted_by_its_result(
    memory: Path, outcome: Verdict | Exception, result: str, passed: int
) -> None:
    scene = Scene(memory)
    scene.outcome = outcome
    with moving(REGISTRY) as moved:
        await scene.gate.check_now()
    checks = {name: by for name, by in moved.items() if "isolation_check" in name and "timestamp" not in name}
    assert checks == {
        f"v6_node_isolation_checks_total{{result={result}}}": 1,
        "v6_node_isolation_check_seconds_count": 1,
    }
    found = Samples(REGISTRY)
    assert found.value("v6_node_isolation_passed") == found.value("v6_node_isolation_gate_open") == passed
    assert found.value("v6_node_isolation_check_timestamp_seconds") == pytest.approx(time.time(), abs=5)
