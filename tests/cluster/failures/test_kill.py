"""A researcher kills a task: before its Job is made, while it waits, while it runs, and after its end."""

import time
from pathlib import Path

import pytest

from tests import figures
from tests.cluster.troupe import Troupe
from tests.stage.federation import Researcher
from tests.stage.kube import Kubectl
from tests.stage.node import Node
from tests.stage.task import Task
from tests.stage.waiting import wait_until
from tests.stage.watching import Witness

GRACE = 5.0
KUBELETS_START = 3.0


@pytest.fixture(scope="module")
def node(troupe: Troupe) -> Node:
    return troupe.node(troupe.collaboration()).start()


def kill(task: Task, node: Node, witness: Witness) -> tuple[float, float]:
    """Kill a task; return the seconds from the order until no process of its pod is left, and until the pod is gone.

    Where the cluster's processes are not this machine's, the first is the second.
    """
    run = task.run()["id"]
    pod = witness.of_run(run, "Pod")[0].uid
    began = time.time()
    node.collaboration.federation.root.task.kill(task.id)
    wait_until(lambda: not algorithms(pod), 60, lambda: "its process is still there", every=0.05)
    ended = time.time() - began
    wait_until(lambda: bool(witness.of_run(run, "Pod", "DELETED")), 60, lambda: "its pod is still there")
    wait_until(lambda: bool(witness.of_run(run, "Job", "DELETED")), 60, lambda: "its Job is still there")
    gone = witness.of_run(run, "Pod", "DELETED")[0].at - began
    return (ended, gone) if ended > 0.5 else (gone, gone)


def algorithms(pod_uid: str) -> list[str]:
    """The processes of a pod's algorithm among this machine's: their cgroup names the pod."""
    found = []
    for cgroup in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            inside = pod_uid in cgroup.read_text().replace("_", "-")
            command = cgroup.with_name("cmdline").read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if inside and b"wrap_algorithm" in command:
            found.append(cgroup.parent.name)
    return found


@pytest.mark.contract("§5 killed by user")
@pytest.mark.contract("§13 the container is removed")
def test_killed_while_it_runs_it_is_gone_within_its_grace_period_and_a_second(
    node: Node, researcher: Researcher, behave: str, kubectl: Kubectl
) -> None:
    with Witness(kubectl.kubeconfig, node.namespace) as witness:
        task = researcher.send(behave, "sleep", 300)
        task.wait(60, until=lambda each: each.statuses() == ["active"])
        # Of a container that it has just started, kubelet takes up to 1.5 s more to begin with the end.
        time.sleep(KUBELETS_START)
        ended, gone = kill(task, node, witness)
    figures.note(
        "figures",
        f"killed while it ran: process ended after {ended:.1f} s, pod gone after {gone:.1f} s (grace {GRACE:.0f} s)",
    )
    assert ended <= GRACE + 1
    assert task.statuses() == ["killed by user"]


@pytest.mark.contract("§13 what was not started yet")
def test_killed_while_it_waits_it_never_runs(troupe: Troupe, behave: str, kubectl: Kubectl) -> None:
    node = troupe.node(troupe.collaboration())
    node.values["jobs"] = {"nodeSelector": {"example.org/none": "here"}}
    node.values["isolation"]["required"] = False
    node.start()
    with Witness(kubectl.kubeconfig, node.namespace) as witness:
        task = node.collaboration.researcher().send(behave, "sleep", 0)
        witness.wait_for("Pod", task.run()["id"])
        _, gone = kill(task, node, witness)
    assert gone <= GRACE + 1
    assert task.statuses() == ["killed by user"]


@pytest.mark.contract("§13 what was not started yet")
def test_killed_before_the_node_takes_it_it_gets_no_job(node: Node, researcher: Researcher, behave: str) -> None:
    node.scale_launcher(0)
    node.wait_offline(60)
    task = researcher.send(behave, "sleep", 0)
    node.collaboration.federation.root.task.kill(task.id)
    node.scale_launcher(1)
    node.wait_online()
    later = researcher.send(behave, "sleep", 0)
    assert later.wait().result() == 0
    assert task.statuses() == ["killed by user"]
    run = task.run()["id"]
    assert not [event for event in node.launcher_events() if event.get("run") == run and event["event"] == "started"]


@pytest.mark.contract("§5 finished is closed")
def test_killed_after_its_end_it_stays_completed(node: Node, researcher: Researcher, behave: str) -> None:
    task = researcher.send(behave, "sleep", 0).wait()
    node.collaboration.federation.root.task.kill(task.id)
    assert researcher.send(behave, "sleep", 0).wait().result() == 0
    assert task.statuses() == ["completed"]
    wait_until(lambda: not node.jobs(), 30, lambda: f"left: {node.jobs()}")
