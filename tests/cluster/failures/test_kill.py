"""A researcher kills a task: before its Job is made, while it waits, while it runs, and after its end."""

import time

import pytest

from ci.images import Image
from tests.cluster import figures
from tests.cluster.troupe import Troupe
from tests.stage.federation import Researcher
from tests.stage.node import Node
from tests.stage.task import Task
from tests.stage.waiting import wait_until

GRACE = 5.0


@pytest.fixture(scope="module")
def node(troupe: Troupe) -> Node:
    return troupe.node(troupe.collaboration()).start()


@pytest.fixture(scope="module")
def researcher(node: Node) -> Researcher:
    return node.collaboration.researcher()


@pytest.fixture(scope="module")
def behave(images: dict[str, Image]) -> str:
    return images["behave"].ref


def kill(node: Node, task: Task) -> float:
    """Kill a task, and return the seconds until neither Job nor pod of it are left."""
    began = time.monotonic()
    node.collaboration.federation.root.task.kill(task.id)
    wait_until(lambda: not node.jobs() and not node.pods("algorithm"), 60, lambda: f"left: {node.jobs()}", every=0.1)
    return time.monotonic() - began


def has_pod(node: Node) -> bool:
    return bool(node.pods("algorithm"))


def test_killed_while_it_runs_it_is_gone_within_its_grace_period_and_a_second(
    node: Node, researcher: Researcher, behave: str
) -> None:
    task = researcher.send(behave, "sleep", 300)
    task.wait(60, until=lambda each: each.statuses() == ["active"])
    took = kill(node, task)
    figures.note("figures", f"killed while it ran: pod gone after {took:.1f} s, of which {GRACE:.0f} s of grace")
    assert took <= GRACE + 1
    assert task.statuses() == ["killed by user"]


def test_killed_while_it_waits_it_never_runs(troupe: Troupe, behave: str) -> None:
    node = troupe.node(troupe.collaboration())
    node.values["jobs"] = {"nodeSelector": {"example.org/none": "here"}}
    node.values["isolation"]["required"] = False
    node.start()
    task = node.collaboration.researcher().send(behave, "sleep", 0)
    wait_until(lambda: has_pod(node), 30, lambda: "it has no pod")
    assert kill(node, task) <= GRACE + 1
    assert task.statuses() == ["killed by user"]


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


def test_killed_after_its_end_it_stays_completed(node: Node, researcher: Researcher, behave: str) -> None:
    task = researcher.send(behave, "sleep", 0).wait()
    node.collaboration.federation.root.task.kill(task.id)
    assert researcher.send(behave, "sleep", 0).wait().result() == 0
    assert task.statuses() == ["completed"]
    wait_until(lambda: not node.jobs(), 30, lambda: f"left: {node.jobs()}")
