"""Ways to end, to take long, and to leave something behind."""

import errno
import os
import socket
import stat
import sys
import time
from pathlib import Path

from behave.surroundings import call_home


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


def until(instant: float) -> float:
    """Take until an instant, in seconds since 1970, so that many runs end at the same; returns how late it was."""
    print(f"sleeping until {instant}")
    time.sleep(max(instant - time.time(), 0))
    return time.time() - instant


def moments() -> dict[str, float]:
    """Tell when, in seconds since 1970: the input was written, this process started, this function began and ended."""
    began = time.time()
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    files = Path(os.environ["INPUT_FILE"]).stat().st_mtime
    return {"files": files, "started": time.time() - age, "began": began, "ended": time.time()}


def big_output(bytes: int) -> dict[str, str]:  # noqa: A002 - the name a task uses
    """Return a text of so many bytes."""
    return {"data": "x" * bytes}


def log_lines(n: int) -> dict[str, int]:
    """Print n numbered lines."""
    for number in range(n):
        print(f"line {number}")
    return {"lines": n}


def use_memory(bytes: int, seconds: float = 5) -> int:  # noqa: A002
    """Hold so many bytes of memory for some seconds."""
    held = b"x" * bytes
    time.sleep(seconds)
    return len(held)


def fill(path: str, bytes: int, seconds: float = 120) -> int:  # noqa: A002
    """Write so many bytes into a file, and wait so long for somebody to mind."""
    Path(path).write_bytes(b"x" * bytes)
    time.sleep(seconds)
    return bytes


def use(path: str, mode: str = "r") -> str:
    """Open a file, read or write, without catching what comes of it; variables such as $RUN_CONTEXT_FILE are known."""
    with Path(os.path.expandvars(path)).open(mode) as file:
        return file.read() if mode == "r" else str(file.write("behave was here"))


def signalled(number: int) -> None:
    """End by a signal of the kernel's kind, such as 11, a fault in native code."""
    # Process 1 of a container is spared the signals that it does not handle: a child of it is not.
    child = os.fork()
    if not child:
        os.kill(os.getpid(), number)
    _, status = os.waitpid(child, 0)
    os._exit(128 + os.WTERMSIG(status))


def flood(bytes: int, line: int = 100, pause: float = 0) -> int:  # noqa: A002
    """Print so many bytes, in numbered lines of equal length; returns how many lines.

    After the first thousand lines it pauses for so many seconds.
    """
    lines = bytes // line
    out = sys.stdout
    for start in range(0, lines, 1000):
        if start == 1000:
            out.flush()
            time.sleep(pause)
        out.write("".join(f"{n:0{line - 1}d}\n" for n in range(start, min(start + 1000, lines))))
    out.flush()
    return lines


def tell(lines: int, every: float) -> int:
    """Print numbered lines, one after the other, with so many seconds between them."""
    for number in range(lines):
        print(f"telling {number}", flush=True)
        time.sleep(every)
    return lines


def tick(name: str, seconds: float = 0, failure: str = "", calls: int = 0) -> dict[str, int | str]:
    """Leave a mark in the file `name` of the job's own folder, take `seconds`, and count all the marks there.

    With `failure` it ends with that instead, but does leave its mark. With `calls` it asks the server for its own task
    so many times meanwhile, each time again until there is an answer.

    Marks survive the container, so a run that was executed twice has two of them. They are lines with the time in
    seconds since 1970, each written by one appending write, which does not mix with another process's.
    """
    file = _leave_mark(name)
    for _ in range(calls):
        call_home()
        time.sleep(seconds / calls)
    if not calls:
        time.sleep(seconds)
    if failure:
        crash(failure)
    return {"executions": len(file.read_text().splitlines()), "run": name}


def hold(name: str, most: float = 300) -> dict[str, int | str]:
    """Leave and count marks as `tick` does, and take until there is a file `<name>.end` beside them; `most` seconds.

    Meanwhile it asks the server for its own task, once a second.
    """
    file = _leave_mark(name)
    deadline = time.monotonic() + most
    while not file.with_name(f"{name}.end").exists() and time.monotonic() < deadline:
        call_home()
        time.sleep(1)
    return {"executions": len(file.read_text().splitlines()), "run": name}


def _leave_mark(name: str) -> Path:
    if Path(name).name != name:
        raise ValueError(f"name={name!r} is not a plain file name.")
    file = Path(os.environ["TEMPORARY_FOLDER"]) / name
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o660)
    try:
        os.write(descriptor, f"{time.time()}\n".encode())
    finally:
        os.close(descriptor)
    return file
