"""Boots a cluster: starts its node, fills it, and waits until it is ready to be used."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from ci.cluster import configuration, containerd, contents, files, locks, node, processes, teardown
from ci.cluster.errors import ClusterError
from ci.cluster.kubectl import Kubectl
from ci.cluster.places import SLOTS, Addresses, Home

_PATIENCE = 240.0
"""Seconds for each step of a boot; on an idle machine all of them together take about 20."""


def boot(home: Home, say: Callable[[str], None]) -> None:
    """Boot the cluster of ``home``, whose lock the caller holds and where nothing is left of an earlier one.

    Raises:
        ClusterError: with the end of the log of what failed; all logs are kept in ``home.failed``.
    """
    try:
        _fill(home, _start(home), say)
    except BaseException as error:
        reason = _reason(home, error)
        shutil.rmtree(home.failed, ignore_errors=True)
        for state in home.states:
            if (state / "log").exists():
                shutil.copytree(state / "log", home.failed / state.relative_to(home.state))
        teardown.down(home)
        if reason:
            raise ClusterError(f"The cluster did not boot: {reason} (all logs: {home.failed})") from error
        raise
    shutil.rmtree(home.failed, ignore_errors=True)


def _reason(home: Home, error: BaseException) -> str:
    """Why the boot ended: the daemon that did, if one did, else what was being done. Empty for an interruption."""
    for state in reversed(home.states):  # the first one's reason is that the other ended
        if (state / "failed").exists():
            reason = (state / "failed").read_text()
            return f"{reason}: {_end_of_log(state / 'log', reason.split()[0])}"
    if isinstance(error, subprocess.CalledProcessError):
        message = (error.stderr or b"").decode(errors="replace").strip()
        return f"{' '.join(map(str, error.cmd))}: {message}"
    return str(error) if isinstance(error, ClusterError) else ""


def _start(home: Home) -> Addresses:
    """Choose a place on this machine, and start the supervisor there."""
    with locks.exclusive(teardown.MACHINE_LOCK):
        teardown.clear_corpses()
        taken = {found.slot for found in processes.running()}
        free = [slot for slot in range(SLOTS) if slot not in taken]
        if not free:
            raise ClusterError(f"All {SLOTS} places for local clusters on this machine are taken: take one down.")
        addresses = Addresses(free[0])
        files.write(home, addresses)
        for machine in home.machines(addresses):
            node.make_cgroups(machine)
        pid = _spawn(home, addresses.slot)
        for command in node.host_network(addresses, pid):
            subprocess.run(command, check=True, capture_output=True)
    return addresses


def _spawn(home: Home, slot: int) -> int:
    """Start process 1 of the node, detached from all of this process; returns its number on this machine."""
    namespaces = ["--mount", "--propagation=private", "--net", "--pid", "--ipc", "--uts", "--kill-child=SIGKILL"]
    arguments = processes.arguments(home.root, slot, files.fingerprint(home))
    with (home.log / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            ["unshare", *namespaces, sys.executable, *arguments],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + 10
    while (found := processes.of(home)) is None or found.orphan:
        if process.poll() is not None or time.monotonic() > deadline:
            raise ClusterError(f"the node's first process did not start: {_end_of_log(home.log, 'supervisor')}")
        time.sleep(0.01)
    return found.pid


def _fill(home: Home, addresses: Addresses, say: Callable[[str], None]) -> None:
    """Fill the node and wait until all is ready; the kubeconfig comes last, for it says that the cluster is whole."""
    kubeconfig = home.root / "kubeconfig.new"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(yaml.safe_dump(configuration.kubeconfig(addresses, "admin", home.state / "pki")))
    kubectl = Kubectl(kubeconfig)
    _await(home, "containerd", lambda: containerd.ready(home))
    contents.load_images(home)
    say("images imported")
    _await(home, "the API server", lambda: kubectl.succeeds("get", "--raw", "/readyz"))
    say("API server ready")
    contents.apply(kubectl, addresses)
    _await(home, "the node", lambda: kubectl.nodes_ready(home.nodes))
    ready = "node ready" if home.nodes == 1 else f"{home.nodes} nodes ready"
    say(f"{ready}, network policies " + ("enforced by Cilium" if home.enforcing else "NOT enforced"))
    _await(home, "DNS and storage", lambda: all(kubectl.available(*deployment) for deployment in contents.DEPLOYMENTS))
    say("DNS and storage ready")
    kubeconfig.rename(home.kubeconfig)


def _await(home: Home, what: str, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not ready():
        if processes.of(home) is None:
            raise ClusterError(f"the node ended while {what} was waited for: {_end_of_log(home.log, 'supervisor')}")
        if time.monotonic() > deadline:
            raise ClusterError(f"{what} is not ready after {_PATIENCE:.0f} s")
        time.sleep(0.1)


def _end_of_log(folder: Path, daemon: str) -> str:
    log = folder / f"{daemon}.log"
    return log.read_text(errors="replace")[-800:].strip() if log.exists() else "it logged nothing"
