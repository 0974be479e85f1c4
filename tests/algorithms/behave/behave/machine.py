"""What an algorithm runs on: its kernel, what it may do there, and how long work takes."""

import os
import tempfile
import timeit
from pathlib import Path
from typing import Any


def kernel() -> dict[str, Any]:
    """Tell the kernel's release, and what it says of this process: user, capabilities, privileges, filter."""
    lines = Path("/proc/self/status").read_text().splitlines()
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {
        "release": os.uname().release,
        "user": os.getuid(),
        "capabilities": int(status["CapEff"], 16),
        "no new privileges": status.get("NoNewPrivs") == "1",
        "system calls filtered": status.get("Seccomp") == "2",
    }


def speed(numbers: int = 500_000, files: int = 200, times: int = 5) -> dict[str, float]:
    """Take the time of adding so many squares, and of writing, reading and removing so many small files.

    Returns:
        Seconds of each, the least of so many times: other load of the machine only ever adds.
    """

    def compute() -> None:
        sum(number * number for number in range(numbers))

    def write_read_remove() -> None:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(files):
                file = Path(folder, str(number))
                file.write_bytes(b"x" * 4096)
                file.read_bytes()
                file.unlink()

    work = {"computing": compute, "small files": write_read_remove}
    return {kind: min(timeit.repeat(each, number=1, repeat=times)) for kind, each in work.items()}
