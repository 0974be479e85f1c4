"""Files and folders on the task volume: written whole or not at all, removed whatever an algorithm made of them."""

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

_DIRECTORY_MODE, _FILE_MODE = 0o770, 0o660


def make_directory(path: Path) -> None:
    """Make a directory, and those that it is in, for the node and its algorithms."""
    for directory in (*reversed(path.parents), path):
        if not directory.exists():
            directory.mkdir(exist_ok=True)
            directory.chmod(_DIRECTORY_MODE)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file aside and rename it: a crash leaves the old content or the new, never half of it.

    Raises:
        OSError: the volume is full or can't be written.
    """
    aside = path.with_name(f"{path.name}.new")
    write_file(aside, content)
    aside.rename(path)


def write_file(path: Path, content: bytes) -> None:
    """Write a file anew, and have it reach the disk.

    Raises:
        OSError: the volume is full or can't be written.
    """
    # Replaced, never overwritten in place: what is there may be a link that an earlier attempt's algorithm left.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, _FILE_MODE)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def empty(directory: Path, *, but: str) -> None:
    """Remove everything in a directory but the file of a name."""
    for each in directory.iterdir():
        if each.is_dir() and not each.is_symlink():
            remove_tree(each)
        elif each.name != but:
            each.unlink()


def remove_tree(path: Path) -> None:
    """Remove a directory even if the algorithm took away its own rights; links in it are not followed."""

    def unlock(function: Callable[..., Any], name: str, _: object) -> None:
        stuck = Path(name)
        for directory in (stuck.parent, stuck):
            if stat.S_ISDIR(directory.lstat().st_mode):
                directory.chmod(0o700)
        if stat.S_ISDIR(stuck.lstat().st_mode):
            shutil.rmtree(stuck)
        else:
            stuck.unlink()

    if path.exists():
        shutil.rmtree(path, onerror=unlock)
