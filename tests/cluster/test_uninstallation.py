"""What becomes of runs when the chart is uninstalled, and when it is installed again with the same key.

Four nodes, each with a run that is active and one that waits in line, are uninstalled at the same time: most of it is
waiting. The judges are those of tests/cluster/observed.py, and a watch of the NetworkPolicy that shuts algorithms in.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from ci.cluster import Cluster
from tests import figures
from tests.cluster.observed import Observed, active, observed
from tests.cluster.troupe import Troupe
from tests.stage import StageError
from tests.stage.client import moment
from tests.stage.node import Node
from tests.stage.waiting import wait_until

KEPT, DELETED, DEAF, DOWN = "volume kept", "volume deleted", "server deaf", "launcher down"
CASES = (KEPT, DELETED, DEAF, DOWN)
GRACE = 5.0
"""Seconds that an algorithm has to end: the default. These don't heed SIGTERM."""
UNINSTALLED = "The node was uninstalled before the algorithm ended"


@dataclass
class Played:
    """What was seen of a node."""

    scene: Observed
    said: str
    """By helm, when it uninstalled."""
    seconds: float
    """How long that took."""
    end: float
    """When the algorithm's pod was gone, in seconds since 1970."""
    margin: float
    """Seconds by which the isolation outlived the algorithm's pod."""
    left: list[str]
    """Objects that were in the namespace when everything had settled, as kind/name."""
    between: list[dict[str, Any]]
    """The two runs before the node was installed again."""
    after: list[dict[str, Any]]
    """The same when the new node had nothing to do any more."""
    told: list[list[str]]
    """The ends that the server was told of each."""


@pytest.fixture(scope="module")
def played(troupe: Troupe, cluster: Cluster, behave: str) -> Iterator[dict[str, Played]]:
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(CASES)) as pool:
        scenes = {case: stack.enter_context(observed(troupe, cluster.host_address, behave)) for case in CASES}
        yield dict(zip(CASES, pool.map(play, CASES, scenes.values()), strict=True))


def play(case: str, scene: Observed) -> Played:
    node = scene.node
    node.values["jobs"] = {"maxConcurrent": 1}
    if case == DELETED:
        node.values["taskVolume"]["keep"] = False
    node.start()
    tasks = [active(scene.hold("active")), scene.send("waiting")]
    PREPARATIONS.get(case, lambda _: None)(scene)
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(moment_of_deletion, node, "networkpolicy/v6-node-default-deny")
        began = time.monotonic()
        said = node.uninstall()
        seconds = time.monotonic() - began
        end = pod_gone(scene, tasks[0].run()["id"])
        margin = opened.result() - end
    node.wait_offline()
    with contextlib.suppress(StageError):  # the test says what is there instead
        wait_until(lambda: left(node) == stays(case), 60, lambda: "there is more")
    remains = left(node)
    between = [task.run() for task in tasks]

    scene.recorder.intercept = None
    node.install()
    node.wait_online()
    for task in tasks:
        task.wait(60)
    wait_until(lambda: not node.jobs(), 60, lambda: f"Jobs left: {node.jobs()}")
    after, told = [task.run() for task in tasks], [scene.told(task) for task in tasks]
    return Played(scene, said, seconds, end, margin, remains, between, after, told)


def deafen(scene: Observed) -> None:
    """Let the server take no more changes of runs."""
    scene.recorder.intercept = lambda method, path, _: 503 if method == "PATCH" and "/run/" in path else None


def take_away(scene: Observed) -> None:
    scene.node.scale_launcher(0)
    wait_until(lambda: not scene.node.pods("launcher"), 60, lambda: "the launcher is still there")


PREPARATIONS: dict[str, Callable[[Observed], None]] = {DEAF: deafen, DOWN: take_away}


def moment_of_deletion(node: Node, what: str) -> float:
    node.kubectl("wait", "--for=delete", what, "--timeout=110s", namespace=node.namespace)
    return time.time()


def pod_gone(scene: Observed, run_id: int) -> float:
    """When the pod of a run was gone."""

    def gone() -> list[float]:
        return [seen.at for seen in scene.witness.of_run(run_id, "Pod", "DELETED")]

    wait_until(lambda: bool(gone()), 60, lambda: f"the pod of run {run_id} is still there")
    return gone()[0]


def stays(case: str) -> list[str]:
    return [] if case == DELETED else ["PersistentVolumeClaim/v6-node-tasks"]


def left(node: Node) -> list[str]:
    """What is in the namespace, but for what Kubernetes puts into every one."""
    kinds = "all,networkpolicy,role,rolebinding,serviceaccount,configmap,secret,pvc,poddisruptionbudget,resourcequota"
    found = [(each["kind"], each["metadata"]["name"]) for each in node.kubectl.get(kinds, namespace=node.namespace)]
    return [f"{kind}/{name}" for kind, name in found if name not in {"default", "kube-root-ca.crt"}]


@pytest.mark.parametrize("case", [KEPT, DELETED])
def test_what_runs_is_ended_and_the_server_told_and_what_waits_goes_on_waiting(
    case: str, played: dict[str, Played]
) -> None:
    seen = played[case]
    ended, waiting = seen.between
    assert (ended["status"], bool(ended["finished_at"])) == ("killed by user", True)
    assert UNINSTALLED in ended["log"]
    assert seen.end - moment(ended["finished_at"]).timestamp() < GRACE + 5, "a busy machine has 5 s more"
    assert (waiting["status"], waiting["finished_at"]) == ("pending", None), "as with a node that is offline"
    assert f"Runs that were ended: {ended['id']}." in seen.said
    figures.note("figures", f"helm uninstall, algorithm ignores SIGTERM: {seen.seconds:.1f} s ({case})")


@pytest.mark.parametrize("case", [KEPT, DELETED, DEAF])
def test_algorithms_are_shut_in_until_their_end(case: str, played: dict[str, Played]) -> None:
    assert played[case].margin > 0


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_left_but_the_task_volume_unless_that_is_to_go(case: str, played: dict[str, Played]) -> None:
    assert played[case].left == stays(case)


@pytest.mark.parametrize("case", CASES)
def test_a_node_that_is_installed_again_executes_nothing_twice_and_leaves_nothing_open(
    case: str, played: dict[str, Played]
) -> None:
    seen, ended = played[case], "unknown error" if case == DOWN else "killed by user"
    assert [run["status"] for run in seen.after] == [ended, "completed"]
    assert seen.told == [[ended], ["completed"]]
    assert [len(seen.scene.witness.of_run(run["id"], "Pod")) for run in seen.after] == [1, 1]
    assert seen.scene.marks("waiting") == 1
    assert seen.scene.marks("active") == (0 if case == DELETED else 1), "the marks are on the volume"


def test_what_the_server_could_not_be_told_is_told_by_the_next_node_with_the_volume(played: dict[str, Played]) -> None:
    seen = played[DEAF]
    ended = seen.between[0]
    assert ended["status"] == "active", "nobody could tell it"
    assert f"The server could not be told of {ended['id']}" in seen.said
    assert UNINSTALLED in seen.after[0]["log"]


def test_a_launcher_that_is_not_there_keeps_nobody_from_uninstalling(played: dict[str, Played]) -> None:
    assert "does not answer" in played[DOWN].said
