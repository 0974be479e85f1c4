"""What the test image adds to the product: the program dies where the test says, and is there again at once."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from launcher.kubeapi import KubeApi
from tests.faults.direction import Direction, Strike
from tests.faults.image import faulty
from tests.faults.image.faulty import seam
from tests.faults.image.faulty.steps import Step
from tests.unit.test_taskfiles import RUN

IMAGE = Path(faulty.__file__).parents[1]
ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from launcher.taskfiles import TaskFiles
from tests.unit.test_taskfiles import IDENTITY, RUN

TaskFiles(Path("volume"), IDENTITY).prepare(RUN, b"{}", "token")
print("done", sys.argv)
sys.exit(3)
"""


@pytest.fixture
def direction():
    with Direction("127.0.0.1") as direction:
        yield direction


def execute(folder: Path, program: str = PROGRAM, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(program)
    (folder / "volume").mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(IMAGE), str(ROOT)]), "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "faulty", "program", "run"]
    return subprocess.run(
        command, cwd=folder, env={**environment, **variables}, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_program_dies_where_the_test_says_and_starts_again(direction: Direction, tmp_path: Path) -> None:
    strikes = [Strike("files written", when, lambda: "die", 2) for when in ("before", "within", "after")]
    direction.plan(RUN.id, strikes)
    done = execute(tmp_path, FAULTY_DIRECTOR=f"127.0.0.1:{direction.port}")
    assert (done.returncode, done.stdout.count("done")) == (3, 1), done.stderr
    assert "program.py', 'run']" in done.stdout
    assert direction.deaths == 3
    assert not direction.left_out(RUN.id)
    processes = {visit.process: [] for visit in direction.visits}
    for visit in direction.visits:
        processes[visit.process].append(visit.when)
    first, second, third, last = processes.values()
    assert first == ["before"]
    assert second == ["before", "within", "within"]
    for whole in (third, last):
        assert whole == ["before", *["within"] * (len(whole) - 2), "after"]
    assert direction.changes(RUN.id)["files written"] > 10
    assert {each.runs for each in direction.memory} >= {0}
    assert all(each.kib > 1000 for each in direction.memory)


def test_without_a_director_it_is_the_product(tmp_path: Path) -> None:
    done = execute(tmp_path)
    assert (done.returncode, done.stdout.count("done")) == (3, 1), done.stderr


def test_a_program_that_ends_by_itself_is_not_started_again(direction: Direction, tmp_path: Path) -> None:
    """Whatever kills it but the test: memory that is used up, for example."""
    program = "import os; print('done', flush=True); os.kill(os.getpid(), 9)"
    done = execute(tmp_path, program, FAULTY_DIRECTOR=f"127.0.0.1:{direction.port}")
    assert (done.returncode, done.stdout.count("done")) == (128 + 9, 1)


class Things:
    def __init__(self) -> None:
        self.did: list[Any] = []

    def note(self, run: Any) -> str:
        self.did.append("note")
        return "noted"

    async def call(self, run: Any) -> str:
        self.did.append("call")
        return "called"

    async def stream(self, pod: str):
        self.did.append("stream")
        yield 1
        yield 2

    async def fail(self, run: Any) -> None:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("name", "first", "answer"),
    [("note", RUN, "noted"), ("call", RUN.id, "called"), ("stream", f"run-{RUN.id}-abcde", [1, 2])],
)
async def test_a_step_is_told_before_and_after(name: str, first: Any, answer: Any) -> None:
    things = Things()

    def told(when: str, step: str, run: int | None) -> None:
        things.did.append((when, step, run))

    wrapped = seam._wrapped(getattr(Things, name), Step("made", "", name), told)
    got = wrapped(things, first)
    if name == "stream":
        got = [each async for each in got]
    elif asyncio.iscoroutine(got):
        got = await got
    assert got == answer
    assert things.did == [("before", "made", RUN.id), name, ("after", "made", RUN.id)]


async def test_a_step_that_fails_has_no_after() -> None:
    told: list[str] = []
    wrapped = seam._wrapped(Things.fail, Step("made", "", "fail"), lambda when, *_: told.append(when))
    with pytest.raises(ValueError, match=r"^no$"):
        await wrapped(Things(), RUN)
    assert told == ["before"]


@pytest.mark.parametrize(
    ("what", "run"),
    [
        (RUN, RUN.id),
        (12, 12),
        ("run-12", 12),
        ("run-12-x7f2a", 12),
        ("isolation-1", None),
        ({"metadata": {"labels": {seam.RUN_ID: "12"}}}, 12),
        ({"metadata": {}}, None),
    ],
)
def test_the_run_is_told_by_the_first_argument(what: Any, run: int | None) -> None:
    assert seam.run_of(what) == run


async def test_watches_hear_that_they_are_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []

    async def lines(self: Any, path: str, query: Any):
        try:
            yield b"one"
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    told = SimpleNamespace(expiries=0, deaf_until=0.0)
    monkeypatch.setattr(KubeApi, "lines", lines)
    seam.distort_watches(told)
    heard = KubeApi.lines(None, "/path", {})  # type: ignore[arg-type]
    assert await anext(heard) == b"one"
    told.expiries += 1
    event = json.loads(await anext(heard))
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    assert [each async for each in heard] == []
    assert ended == [True]


async def test_the_watch_of_pods_can_be_late_while_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lines(self: Any, path: str, query: Any):
        yield b"one"

    told = SimpleNamespace(expiries=0, deaf_until=time.monotonic() + 0.5)
    monkeypatch.setattr(KubeApi, "lines", lines)
    seam.distort_watches(told)
    began = time.monotonic()
    assert [each async for each in KubeApi.lines(None, "/jobs", {})] == [b"one"]  # type: ignore[arg-type]
    assert time.monotonic() - began < 0.4
    assert [each async for each in KubeApi.lines(None, "/pods", {})] == [b"one"]  # type: ignore[arg-type]
    assert time.monotonic() - began > 0.4


def test_a_change_of_the_volume_can_fail(direction: Direction, tmp_path: Path) -> None:
    strike = Strike("files written", "within", lambda: "fail", 3)
    direction.plan(RUN.id, [strike])
    done = execute(tmp_path, FAULTY_DIRECTOR=f"127.0.0.1:{direction.port}")
    assert strike.struck
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
