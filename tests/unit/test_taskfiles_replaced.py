"""An output that an algorithm replaces while the launcher reads it: the opened file is read, or nothing is."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import untrusted
from launcher.taskfiles import TaskFiles
from launcher.untrusted import OutputError
from tests.unit.test_taskfiles import IDENTITY, RUN

SECRET = b"not of this run"
OPENED = b"o" * 2**20
LIMIT = 2**21
ENOUGH = 20
SECONDS = 20.0


@pytest.fixture
def files(tmp_path: Path) -> TaskFiles:
    return TaskFiles(tmp_path / "tasks", IDENTITY)


@pytest.fixture
def data(files: TaskFiles, tmp_path: Path) -> Path:
    files.prepare(RUN, b"{}", "token")
    (tmp_path / "secret").write_bytes(SECRET)
    data = files.directory(RUN) / "data"
    (data / "output").write_bytes(OPENED)
    return data


def by_a_file(data: Path) -> None:
    (data / "new").write_bytes(SECRET)
    (data / "new").rename(data / "output")


def by_a_symlink(data: Path) -> None:
    (data / "new").symlink_to(data.parents[3] / "secret")
    (data / "new").rename(data / "output")


REPLACED = pytest.mark.parametrize("replace", [by_a_file, by_a_symlink])


def while_looking(monkeypatch: pytest.MonkeyPatch, before: Callable[[], None], after: Callable[[], None]) -> None:
    """Have something done just before and just after the launcher looks at what it opened."""
    real = os.fstat

    def acting(descriptor: int) -> os.stat_result:
        monkeypatch.setattr(untrusted.os, "fstat", real)
        before()
        facts = real(descriptor)
        after()
        return facts

    monkeypatch.setattr(untrusted.os, "fstat", acting)


def nothing() -> None:
    pass


@REPLACED
def test_replaced_between_opening_and_looking_it_is_refused(
    files: TaskFiles, data: Path, monkeypatch: pytest.MonkeyPatch, replace: Callable[[Path], None]
) -> None:
    while_looking(monkeypatch, lambda: replace(data), nothing)
    with pytest.raises(OutputError, match="not a regular file with one name"):
        files.read_output(RUN, LIMIT)
    assert (data / "output").read_bytes() == SECRET, "it was replaced"


@REPLACED
def test_replaced_before_reading_what_was_opened_is_read(
    files: TaskFiles, data: Path, monkeypatch: pytest.MonkeyPatch, replace: Callable[[Path], None]
) -> None:
    while_looking(monkeypatch, nothing, lambda: replace(data))
    assert files.read_output(RUN, LIMIT) == OPENED
    assert (data / "output").read_bytes() == SECRET, "it was replaced"


def test_replaced_all_the_time_it_is_one_whole_file_or_a_refusal(files: TaskFiles, data: Path) -> None:
    done = threading.Event()

    def replacing() -> None:
        while not done.is_set():
            (data / "link").symlink_to(data.parents[3] / "secret")
            (data / "link").rename(data / "output")
            (data / "file").write_bytes(OPENED)
            (data / "file").rename(data / "output")
            time.sleep(0.002)  # the file is there a little longer than it takes to make it

    hostile = threading.Thread(target=replacing)
    hostile.start()
    read, refused = 0, 0
    try:
        until = time.monotonic() + SECONDS
        while min(read, refused) < ENOUGH and time.monotonic() < until:
            try:
                assert files.read_output(RUN, LIMIT) == OPENED
                read += 1
            except OutputError:
                refused += 1
    finally:
        done.set()
        hostile.join()
    assert min(read, refused) >= ENOUGH, (read, refused)
