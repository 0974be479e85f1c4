"""Takes clusters down, and finds what one has left behind."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path

from ci.cluster import locks, node, processes
from ci.cluster.errors import ClusterError
from ci.cluster.places import INSIDE, MACHINE, SLOTS, Addresses, Home

MACHINE_LOCK = MACHINE / "lock"
_PATIENCE = 30.0


def down(home: Home) -> None:
    """End the cluster of ``home`` if it runs, and remove what there is of it. The caller holds ``home.lock``."""
    home.kubeconfig.unlink(missing_ok=True)
    found = processes.of(home)
    if found:
        processes.kill(found)
    with locks.exclusive(MACHINE_LOCK):
        clear_corpses()
    if home.state.exists():
        _until(lambda: _removed(home.state), f"cannot remove {home.state}")


def clear_corpses() -> None:
    """Remove what dead clusters left, of any cache. The caller holds the machine's lock.

    A cluster whose state folder is gone is as good as dead, though its processes may run.
    """
    for orphan in [found for found in processes.running() if found.orphan]:
        processes.kill(orphan)
    alive = {found.slot for found in processes.running()}
    for slot in set(range(SLOTS)) - alive:
        _clear(Addresses(slot))
    if not alive:
        for path in node.OWN_FOLDERS.values():
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def leftovers(slot: int) -> list[str]:
    """What this machine has of the cluster in ``slot``, a phrase each: nothing after it was taken down."""
    addresses = Addresses(slot)
    found = [f"supervisor {running.pid}" for running in processes.running() if running.slot == slot]
    found += [f"cgroup {path}" for path in node.cgroups(addresses) if path.exists()]
    found += [f"process {pid}" for pid in _members(addresses)]
    found += [f"link {addresses.host_link}"] if _linked(addresses) else []
    found += [f"route {route}" for route in _routes(addresses)]
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    found += [f"mount {point}" for point in mounted if Path(point).is_relative_to(INSIDE)]
    return found


def _clear(addresses: Addresses) -> None:
    """Remove the link and the cgroups of a slot in which no cluster runs."""
    if _linked(addresses):
        # The kernel is about to do so, or something else keeps the network namespace: either way it may go.
        subprocess.run(["ip", "link", "delete", addresses.host_link], capture_output=True, check=False)
        _until(lambda: not _linked(addresses), f"cannot remove the network link {addresses.host_link}")
    for root in node.cgroups(addresses):
        if root.exists():
            _until(lambda root=root: _rooted_out(root, addresses), f"cannot remove {root}")  # type: ignore[misc]


def _rooted_out(root: Path, addresses: Addresses) -> bool:
    for pid in _members(addresses):
        with suppress(ProcessLookupError):  # it was on its way out already
            os.kill(pid, signal.SIGKILL)
    for folder, _, _ in os.walk(root, topdown=False):
        try:
            os.rmdir(folder)  # noqa: PTH106 - a cgroup's files go with it
        except OSError:
            return False
    return True


def _members(addresses: Addresses) -> list[int]:
    """The processes in the slot's cgroups; 0 stands for one that this process namespace does not show."""
    pids: set[int] = set()
    for root in node.cgroups(addresses):
        for listing in root.rglob("cgroup.procs"):
            try:
                pids.update(int(pid) for pid in listing.read_text().split() if pid != "0")
            except OSError:  # removed while we looked
                continue
    return sorted(pids)


def _linked(addresses: Addresses) -> bool:
    return Path("/sys/class/net", addresses.host_link).exists()


def _routes(addresses: Addresses) -> list[str]:
    listing = subprocess.run(["ip", "-4", "route", "show", "table", "all"], capture_output=True, text=True, check=True)
    found = []
    for line in listing.stdout.splitlines():
        for word in line.split():
            try:
                if IPv4Network(word, strict=False).subnet_of(addresses.block):
                    found.append(line.strip())
                    break
            except ValueError:  # not an address
                continue
    return found


def _removed(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def _until(done: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise ClusterError(f"The cluster was not removed: {failure}.")
        time.sleep(0.05)
