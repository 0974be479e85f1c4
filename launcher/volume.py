"""Files and folders on the task volume: written whole or not at all, removed whatever an algorithm made of them."""

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

_DIRECTORY_MODE, _FILE_MODE = 0o770, 0o660
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def make_directory(path: Path) -> None:
    """Make a directory, and those that it is in, for the node and its algorithms."""
    try:
        path.mkdir()
    except FileExistsError:
        return
    except FileNotFoundError:
        make_directory(path.parent)
        path.mkdir(exist_ok=True)
    path.chmod(_DIRECTORY_MODE)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file aside and rename it: a crash leaves the old content or the new, never half of it.

    Raises:
        OSError: the volume is full or can't be written.
    """
    aside = path.with_name(f"{path.name}.new")
    write_files(path.parent, {aside.name: content})
    aside.rename(path)


def write_files(directory: Path, contents: Mapping[str, bytes]) -> None:
    """Write files anew, by their names, and have them reach the disk: together, since each wait for it is a long one.

    Raises:
        OSError: the volume is full or can't be written.
    """
    with contextlib.ExitStack() as opened:
        files = []
        for name, content in contents.items():
            files.append(opened.enter_context(_anew(directory / name)))
            files[-1].write(content)
            files[-1].flush()
        for file in files:
            os.fsync(file.fileno())


def _anew(path: Path) -> BinaryIO:
    """A new file; never one that is there, which may be a link that an earlier attempt's algorithm left."""
    try:
        descriptor = os.open(path, _NEW_FILE)
    except FileExistsError:
        path.unlink()
        descriptor = os.open(path, _NEW_FILE)
    os.fchmod(descriptor, _FILE_MODE)
    return os.fdopen(descriptor, "wb")


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
