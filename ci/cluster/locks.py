"""File locks between processes: who boots, who uses. The kernel releases them when their holder ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def exclusive(path: Path, waiting: str = "") -> Iterator[None]:
    """Hold the lock at ``path``; print ``waiting`` and who has it when it has to be waited for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        if not _try(file, fcntl.LOCK_EX):
            print(f"{waiting or 'waiting'} (process {', '.join(map(str, holders(path))) or '?'})", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def share(path: Path) -> IO[str]:
    """Take the lock at ``path`` for sharing, until the file returned is closed or this process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a")
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def holders(path: Path) -> list[int]:
    """The processes, other than this one, that hold or share the lock at ``path``.

    From /proc/locks, whose sixth column is ``major:minor:inode`` (proc(5)). A process of another process namespace
    shows as 0.
    """
    if not path.exists():
        return []
    status = path.stat()
    key = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    found = set()
    for line in Path("/proc/locks").read_text().splitlines():
        columns = line.split()
        if columns[1] == "FLOCK" and columns[5] == key:
            found.add(int(columns[4]))
    return sorted(found - {os.getpid()})


def _try(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
