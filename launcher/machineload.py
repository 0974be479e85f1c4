"""How busy the machine is that the launcher runs on, in the words of vantage6's node metrics.

`/proc/stat` and `/proc/meminfo` are the machine's also inside a pod, and need no rights. Of other machines, and of
GPUs, a pod learns nothing: the reference node's `gpu_…` are left out.
"""

import asyncio
import os
import platform
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

_PROC = Path("/proc")


def cpu_times(stat: str) -> tuple[int, int]:
    """Busy and total time of all processors since the machine started, of `/proc/stat`."""
    numbers = [int(word) for word in stat.splitlines()[0].split()[1:9]]  # up to `steal`; guests are in `user` already
    idle = sum(numbers[3:5])
    return sum(numbers) - idle, sum(numbers)


def memory(meminfo: str) -> tuple[int, int]:
    """Bytes of memory that there are, and that are available, of `/proc/meminfo`."""
    lines = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    total, available = (int(lines[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    return total, available


def load(before: tuple[int, int], now: tuple[int, int], meminfo: str, algorithms: int) -> dict[str, Any]:
    """The metrics.

    Args:
        before: `cpu_times` of a while ago.
        now: those of now.
        meminfo: of `/proc/meminfo`.
        algorithms: how many run.
    """
    total, available = memory(meminfo)
    passed = now[1] - before[1]
    return {
        "cpu_percent": round(100 * (now[0] - before[0]) / passed, 1) if passed > 0 else 0.0,
        "memory_percent": round(100 * (total - available) / total, 1),
        "num_algorithm_containers": algorithms,
        "os": platform.system(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count() or 1,
        "memory_total": total,
        "memory_available": available,
    }


async def report_load(
    every: float, algorithms: Callable[[], int], share: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """Share the metrics, for ever.

    Args:
        every: seconds between reports.
        algorithms: how many run now.
        share: sends them.
    """
    before = cpu_times((_PROC / "stat").read_text())
    while True:
        await asyncio.sleep(every)
        now = cpu_times((_PROC / "stat").read_text())
        await share(load(before, now, (_PROC / "meminfo").read_text(), algorithms()))
        before = now
