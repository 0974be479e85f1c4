"""Killed before any change of the task volume, a launcher that is started again leaves nothing there."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.taskfiles import TaskFiles
from tests.faults.image.faulty.seam import is_change
from tests.unit.test_taskfiles import IDENTITY, RUN


def launcher(volume: Path, *, open_at_the_server: bool = True) -> None:
    """Do what a launcher does to the volume for one run, as far as an earlier one did not; the server outlives both."""
    finished = volume.parent / "finished"
    files = TaskFiles(volume, IDENTITY)
    known = files.leftovers()
    if open_at_the_server and not finished.exists():
        files.prepare(RUN, b"{}", "token", {"further": b"file"})
        files.note_launched(RUN, "uid")
        files.note_killed(RUN.id, "why")
        files.log_folder(RUN).mkdir(exist_ok=True)
        (files.log_folder(RUN) / "0").write_text("a line")
        # The run ends, and the server has its result.
        finished.touch()
        files.note_audited(RUN.id, failed=True)
        known = [RUN.id]
    for run in known:
        files.remove(run)


def killed_before(nth: int, work: Callable[[], None]) -> bool:
    """Do the work in a process that is killed before its nth change of any file; returns whether it came to that."""
    child = os.fork()
    if not child:
        left = nth

        def strike(event: str, args: tuple[object, ...]) -> None:
            nonlocal left
            if not is_change(event, args):
                return
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(strike)
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in {0, signal.SIGKILL}
    return status != 0


@pytest.mark.parametrize("closed_meanwhile", [False, True], ids=["still open", "closed meanwhile"])
def test_nothing_is_left_wherever_it_was_killed(tmp_path: Path, closed_meanwhile: bool) -> None:
    left: dict[int, list[str]] = {}
    nth = 1
    while True:
        volume = tmp_path / str(nth) / "volume"
        (volume / "runs").mkdir(parents=True)
        killed = killed_before(nth, lambda volume=volume: launcher(volume))
        launcher(volume, open_at_the_server=not closed_meanwhile)
        if found := sorted(str(path.relative_to(volume)) for path in (volume / "runs").rglob("*")):
            left[nth] = found
        if not killed:
            break
        nth += 1
    assert nth > 30, "the changes were not seen"
    assert left == {}
