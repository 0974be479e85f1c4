"""Ways to end, to take long, and to leave something behind."""

import errno
import os
import socket
import stat
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


def leave(kind: str) -> None:
    """Leave as output what is none, and end without complaint."""
    output = Path(os.environ["OUTPUT_FILE"])
    output.unlink()
    makers = {
        "link to the node's key": lambda: output.symlink_to("/run/secrets/v6-node/api_key"),
        "link to other runs": lambda: output.symlink_to("../.."),
        "link to its own input": lambda: output.symlink_to(os.environ["INPUT_FILE"]),
        "link to nothing": lambda: output.symlink_to("/nowhere"),
        "second name of the token": lambda: os.link(os.environ["TOKEN_FILE"], output),
        "pipe": lambda: os.mkfifo(output),
        "socket": lambda: socket.socket(socket.AF_UNIX).bind(str(output)),
        "folder": lambda: (output / "deeper").mkdir(parents=True),
        "1 TiB of nothing": lambda: (output.touch(), os.truncate(output, 2**40)),
        "unreadable": lambda: (output.write_text("1"), output.chmod(0)),
        "nothing": lambda: None,
    }
    makers[kind]()
    sys.stdout.flush()
    os._exit(0)


def device() -> str:
    """Try to make a device as output: `made`, or the name of the error number."""
    try:
        os.mknod(os.environ["OUTPUT_FILE"] + "-device", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, repr(error))
    return "made"


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
