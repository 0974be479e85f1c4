"""A file that an algorithm left: read without following, or waiting for, anything that it may have put there."""

import os
import stat
from pathlib import Path


class OutputError(Exception):
    """The algorithm's output can't be taken; the message tells the researcher why."""


def read_untrusted(directory: Path, name: str, limit: int) -> bytes:
    """A file that an algorithm left in a directory of its own, in bytes.

    Only a regular file with one name is read: a link could point at anything the launcher may read, and
    opening a pipe or device could block or worse.

    Raises:
        OutputError: there is none, it is not such a file, or it is longer than `limit` bytes.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        data = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise OutputError(f"The run's directory can't be opened ({error.strerror}).") from error
    try:
        output = os.open(name, flags, dir_fd=data)
    except OSError as error:
        raise OutputError(f"The algorithm left no {name} that can be read ({error.strerror}).") from error
    finally:
        os.close(data)
    try:
        facts = os.fstat(output)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            raise OutputError(f"The algorithm's {name} is not a regular file with one name, so it was not read.")
        with os.fdopen(output, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    finally:
        os.close(output)
    if len(content) > limit:
        raise OutputError(f"The algorithm's {name} is larger than the {limit} bytes that this node passes on.")
    return content
