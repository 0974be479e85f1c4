"""What was closed lately is remembered, and not for ever."""

from dataclasses import replace

from launcher import closedruns
from launcher.closedruns import ClosedRuns
from tests.unit.test_taskfiles import RUN


async def test_no_more_is_remembered_than_was_closed_lately(monkeypatch):
    closed = ClosedRuns()
    runs = [replace(RUN, id=number) for number in range(100)]
    for run in runs:
        closed.add(run)
    assert all(run in closed for run in runs)
    monkeypatch.setattr(closedruns, "_REMEMBERED", -1.0)
    assert not any(run in closed for run in runs)
    closed.add(RUN)
    monkeypatch.undo()
    assert not any(run in closed for run in runs if run.id != RUN.id)
