"""Finds running clusters by looking at processes: what a supervisor's arguments say is the only record there is."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ci.cluster.errors import ClusterError
from ci.cluster.places import INSIDE, Home

_SCRIPT = "supervisor.py"


@dataclass(frozen=True)
class Node:
    """A running cluster: its process 1, with the arguments it was started with."""

    pid: int
    root: Path
    slot: int
    fingerprint: str

    @property
    def state(self) -> Path:
        """Its state folder, seen through the process: this one may see another folder, or none, by the same name."""
        return Path(f"/proc/{self.pid}/root{INSIDE}")

    @property
    def orphan(self) -> bool:
        """Whether its state was removed under it (an emptied cache), so that nobody can use it any more."""
        return not (self.state / "node.json").exists()

    def belongs_to(self, home: Home) -> bool:
        return home.state.exists() and self.state.exists() and self.state.samefile(home.state)


def running() -> list[Node]:
    """Every cluster on this machine, of whatever cache."""
    return [node for path in Path("/proc").glob("[0-9]*") if (node := _node(path))]


def of(home: Home) -> Node | None:
    """The running cluster of ``home``, if there is one."""
    return next((node for node in running() if node.belongs_to(home)), None)


def found(home: Home) -> Node:
    """The running cluster of ``home``.

    Raises:
        ClusterError: there is none.
    """
    node = of(home)
    if node is None:
        raise ClusterError(f"No cluster runs in {home.root}: start it with `python -m ci.cluster up`.")
    return node


def arguments(root: Path, slot: int, fingerprint: str) -> list[str]:
    """What follows the Python interpreter in a supervisor's command line."""
    return ["-I", str(root / "state" / _SCRIPT), str(root), str(slot), fingerprint]


def kill(node: Node) -> None:
    """End process 1, and with it everything the cluster runs; returns when it is gone.

    Raises:
        ClusterError: when it is still there after 30 s.
    """
    with suppress(ProcessLookupError):
        os.kill(node.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while _node(Path("/proc", str(node.pid))):
        if time.monotonic() > deadline:
            raise ClusterError(f"Process {node.pid} of the cluster in {node.root} does not end: see /proc/{node.pid}.")
        time.sleep(0.02)


def is_inner(pid: str) -> bool:
    """Whether the process is number 1 of a process namespace below this one."""
    for line in Path("/proc", pid, "status").read_text().splitlines():
        if line.startswith("NSpid:"):
            ids = line.split()[1:]
            return len(ids) > 1 and ids[-1] == "1"
    return False


def _node(process: Path) -> Node | None:
    try:
        words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        # python, then what `arguments` gave; unshare, which waits for it, has the same words behind its own.
        if len(words) != 6 or words[1] != "-I" or Path(words[2]).name != _SCRIPT or not is_inner(process.name):
            return None
        node = Node(int(process.name), Path(words[3]), int(words[4]), words[5])
    except (OSError, ValueError):  # it ended while we looked; a zombie has no command line
        return None
    return node if Path(words[2]) == node.root / "state" / _SCRIPT else None
