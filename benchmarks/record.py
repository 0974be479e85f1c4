"""What a run of the benchmarks leaves: one file with every sample, and of what machine and versions they are."""

import json
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.found import Found
from benchmarks.goals import Measurement, measurement

ROOT = Path(__file__).parents[1]
FORMAT = 1


def machine() -> dict[str, Any]:
    """What it ran on."""
    cpus = Path("/proc/cpuinfo").read_text()
    memory = Path("/proc/meminfo").read_text()
    model = next((line.partition(":")[2].strip() for line in cpus.splitlines() if line.startswith("model name")), "")
    return {
        "processors": os.cpu_count(),
        "model": model,
        "memory_gib": round(int(memory.split()[1]) / 2**20, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def product() -> dict[str, Any]:
    """What was measured."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    changed = bool(_git("status", "--porcelain", "--untracked-files=no"))
    return {"v6-node": version("v6-node"), "commit": commit, "changed": changed}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


class Record:
    """The file, written anew after each benchmark, so that one that breaks loses nothing of the others.

    Args:
        file: where it is.
        told: what it has already.
    """

    def __init__(self, file: Path, told: dict[str, Any]) -> None:
        self._file = file
        self.told = told

    @classmethod
    def begin(cls, file: Path, *, quick: bool) -> "Record":
        """A new one."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        facts = {"machine": machine(), "versions": []}
        return cls(file, {"format": FORMAT, "at": now, "quick": quick, **facts, "benchmarks": {}})

    @classmethod
    def read(cls, file: Path) -> "Record":
        """One that was written before."""
        return cls(file, json.loads(file.read_text()))

    def add(self, name: str, found: Found | str, began: float, load: tuple[float, ...]) -> None:
        """What a benchmark found, or why it broke.

        Args:
            name: of the benchmark.
            found: what it brought back, or what went wrong.
            began: when, in seconds since 1970.
            load: the machine's load average then.
        """
        entry: dict[str, Any] = {
            "seconds": round(time.time() - began, 1),
            "load_average": {"before": load, "after": os.getloadavg()},
            "product": product(),
        }
        if isinstance(found, str):
            entry["error"] = found
        else:
            entry["measurements"] = [
                {"goal": each.goal, "measured": each.measured, "limit": each.limit} for each in found.measurements
            ]
            entry["samples"] = found.samples
            entry["stages"] = found.stages
            entry["curve"] = found.curve
        self.told["benchmarks"][name] = entry
        self.write()

    def write(self) -> None:
        """Write it."""
        self.write_to(self._file)

    def write_to(self, file: Path) -> None:
        """Write it into another file."""
        file.write_text(json.dumps(self.told, indent=1) + "\n")

    @property
    def measurements(self) -> list[Measurement]:
        """Of all benchmarks."""
        entries = self.told["benchmarks"].values()
        return [measurement(each) for entry in entries for each in entry.get("measurements", ())]

    @property
    def curve(self) -> dict[str, list[float]]:
        """What grows with the number of open runs."""
        return {key: row for entry in self.told["benchmarks"].values() for key, row in entry.get("curve", {}).items()}

    @property
    def stages(self) -> list[dict[str, float]]:
        """Of all runs whose time was looked into."""
        return [run for entry in self.told["benchmarks"].values() for run in entry.get("stages", ())]
