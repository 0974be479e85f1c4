"""Ways to end, to take long, and to leave something behind."""

import os
import sys
import time
from pathlib import Path


def crash(message: str, after: float = 0) -> None:
    """Take `after` seconds, print `message`, then fail with it."""
    time.sleep(after)
    print(message)
    raise RuntimeError(message)


def exit_code(code: int) -> None:
    """End the process at once with an exit status, and without a result."""
    sys.exit(code)


def sleep(seconds: float) -> float:
    """Take `seconds`, and return them."""
    print(f"sleeping {seconds} s")
    time.sleep(seconds)
    return seconds


def big_output(bytes: int) -> dict[str, str]:  # noqa: A002 - the name a task uses
    """Return a text of so many bytes."""
    return {"data": "x" * bytes}


def log_lines(n: int) -> dict[str, int]:
    """Print n numbered lines."""
    for number in range(n):
        print(f"line {number}")
    return {"lines": n}


def tick(name: str, seconds: float = 0) -> dict[str, int | str]:
    """Leave a mark in the file `name` of the job's own folder, take `seconds`, and count all the marks there.

    Marks survive the container, so a run that was executed twice has two of them. They are lines with the time in
    seconds since 1970, each written by one appending write, which does not mix with another process's.
    """
    if Path(name).name != name:
        raise ValueError(f"name={name!r} is not a plain file name.")
    file = Path(os.environ["TEMPORARY_FOLDER"]) / name
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o660)
    try:
        os.write(descriptor, f"{time.time()}\n".encode())
    finally:
        os.close(descriptor)
    time.sleep(seconds)
    return {"executions": len(file.read_text().splitlines()), "run": name}
