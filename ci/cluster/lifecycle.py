"""Up and down of the local cluster, however it was left: each ends in one of two states, whole or gone."""

import time
from collections.abc import Callable
from typing import IO

from ci.cluster import boot, build, files, locks, packages, processes, teardown
from ci.cluster.errors import ClusterError
from ci.cluster.kubectl import Kubectl
from ci.cluster.places import Home

_PATIENCE = 20.0
"""Seconds for a cluster that runs to show that it is well, on a machine that may be busy."""


def up(home: Home, *, using: bool = False) -> IO[str] | None:
    """Have the cluster of ``home`` run, whole and as this checkout describes it.

    With ``using``, the lock that says that this process uses the cluster is returned; nobody's ``up`` or ``down``
    takes the cluster away before it is released.

    Raises:
        ClusterError: where it cannot be built, does not boot, or has to be replaced while others use it.
    """
    packages.refuse_unsuitable()
    with locks.exclusive(home.lock, "waiting for another process that boots or stops this cluster"):
        say = _teller()
        packages.ensure(say)
        build.ensure(say, build.components(home))
        state = judge(home)
        if state == "well":
            say("running already")
        else:
            _replace(home, state, say)
        return locks.share(home.users) if using else None


def down(home: Home, *, force: bool = False) -> bool:
    """Take the cluster of ``home`` down, leaving nothing; whether it ran.

    Raises:
        ClusterError: when a process is using it, unless ``force``.
    """
    packages.refuse_unsuitable()
    with locks.exclusive(home.lock, "waiting for another process that boots or stops this cluster"):
        ran = processes.of(home) is not None
        if ran and not force:
            _refuse_if_used(home, "add --force to take it down all the same")
        teardown.down(home)
    return ran


def add(home: Home, component: build.Component) -> None:
    """Bring the programs of a further component to the cluster of ``home``, whose daemons find them on their PATH.

    Raises:
        ClusterError: no cluster runs there, or the component can't be built.
    """
    processes.found(home)
    build.ensure(_teller(), (component,))
    with locks.exclusive(home.lock, "waiting for another process that boots or stops this cluster"):
        processes.found(home)
        for state in home.states:
            files.link(state / "bin", component)


def judge(home: Home) -> str:
    """In a word or a few, how the cluster is: "well", "down", or what is wrong with it."""
    node = processes.of(home)
    if node is None:
        failed = home.state / "failed"
        reason = f" ({failed.read_text()})" if failed.exists() else ""
        return f"dead{reason}" if home.state.exists() else "down"
    if not home.kubeconfig.exists():
        return "half booted"
    if not _answers(home):
        return "ill"
    if node.fingerprint != files.fingerprint(home):
        return "of another version"
    return "well"


def _answers(home: Home) -> bool:
    kubectl = Kubectl(home.kubeconfig)
    deadline = time.monotonic() + _PATIENCE
    while not (kubectl.succeeds("get", "--raw", "/readyz") and kubectl.nodes_ready(home.nodes)):
        if time.monotonic() > deadline or processes.of(home) is None:
            return False
        time.sleep(0.5)
    return True


def _replace(home: Home, state: str, say: Callable[[str], None]) -> None:
    if state == "of another version":
        _refuse_if_used(home, "wait for it to end, or set XDG_CACHE_HOME to have a cluster of your own beside it")
    if state != "down":
        say(f"the cluster in {home.root} is {state}: replacing it")
    teardown.down(home)
    boot.boot(home, say)


def _refuse_if_used(home: Home, remedy: str) -> None:
    if users := locks.holders(home.users):
        numbers = ", ".join(map(str, users))
        raise ClusterError(f"The cluster in {home.root} is being used (process {numbers}): {remedy}.")


def _teller() -> Callable[[str], None]:
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)

    return say
