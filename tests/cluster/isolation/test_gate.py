"""The gate: online while the isolation holds, offline with the reason when it does not."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest

from ci.images import Image
from tests import figures
from tests.cluster.troupe import Troupe
from tests.stage import StageError
from tests.stage.kube import Kubectl
from tests.stage.node import LAUNCHER, RELEASE, Node
from tests.stage.waiting import wait_until

NOTICED_SECONDS = 60.0
# What an administrator might add without a thought.
GENEROUS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "generous"},
    "spec": {
        "podSelector": {"matchLabels": {"v6-node.vantage6.ai/role": "algorithm"}},
        "policyTypes": ["Egress"],
        "egress": [{}],
    },
}

# Nobody is there; that there is a way is enough for the gate to try who gets it.
REGISTRY = {
    "label": "registry",
    "type": "sql",
    "uri": "postgresql://192.0.2.1/registry",
    "reach": [{"host": "192.0.2.1", "port": 5432}],
}


@pytest.fixture(scope="module")
def nodes(troupe: Troupe) -> dict[str, Node]:
    """One node for each way to deal with a failed check."""
    study = troupe.collaboration(4)
    names = ["leave", "kill", "not required", "no image"]
    nodes = {name: troupe.node(study, account) for name, account in zip(names, study.nodes, strict=True)}
    nodes["kill"].values["isolation"]["onFailure"] = "kill"
    nodes["not required"].values["isolation"]["required"] = False
    nodes["no image"].values["isolation"]["image"] = {"repository": "localhost/nowhere", "pullPolicy": "Never"}
    nodes["leave"].values["node"]["databases"] = [REGISTRY]
    for node in nodes.values():
        node.install()
    for name in names[:3]:
        nodes[name].wait_online()
    return nodes


def status(node: Node) -> dict[str, Any]:
    """What the launcher tells of its isolation."""
    code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8081/isolation').read().decode())"
    return dict(json.loads(node.kubectl("exec", LAUNCHER, "--", "python", "-c", code, namespace=node.namespace)))


def events(node: Node, reason: str) -> list[str]:
    found = node.kubectl.get("events", namespace=node.namespace)
    return [each["message"] for each in found if each["reason"] == reason]


@contextmanager
def generous(kubectl: Kubectl, *nodes: Node, policy: dict[str, Any] = GENEROUS) -> Iterator[None]:
    """While a policy opens everything to algorithms."""
    for node in nodes:
        kubectl.apply(policy, namespace=node.namespace)
    try:
        yield
    finally:
        for node in nodes:
            kubectl("delete", "networkpolicy", "generous", namespace=node.namespace)


def test_helm_test_shows_the_table(nodes: dict[str, Node], kubectl: Kubectl) -> None:
    said = kubectl.helm("test", RELEASE, "--logs", namespace=nodes["leave"].namespace)
    assert "The isolation holds." in said
    assert all(way in said for way in ("vantage6-server", "internet-ipv4", "kubelet", "cluster-dns-udp"))


def test_what_was_checked_is_told(nodes: dict[str, Node]) -> None:
    told = status(nodes["leave"])
    assert (told["passed"], told["open"], told["reason"]) == (True, True, "")
    assert len(told["rows"]) >= 20
    assert events(nodes["leave"], "IsolationHolds")


def test_a_policy_that_opens_takes_the_node_offline_and_its_removal_brings_it_back(
    nodes: dict[str, Node], kubectl: Kubectl, images: dict[str, Image]
) -> None:
    leave, kill, careless = nodes["leave"], nodes["kill"], nodes["not required"]
    researcher = leave.collaboration.researcher()
    both = [leave.account.organization, kill.account.organization]
    running = researcher.send(images["behave"].ref, "sleep", 45, to=both)
    running.wait(60, until=lambda task: task.statuses() == ["active"] * 2)
    with generous(kubectl, leave, kill, careless):
        start = time.monotonic()
        for node in (leave, kill):
            node.wait_offline(NOTICED_SECONDS)
        seconds = time.monotonic() - start
        told = status(leave)
        assert (told["passed"], told["open"]) == (False, False)
        assert "Algorithms reach what they must not" in told["reason"]
        assert any("Algorithms reach what they must not" in message for message in events(leave, "IsolationFailed"))
        assert any(
            each["level"] == "ERROR" and "Algorithms reach" in each.get("reason", "")
            for each in leave.launcher_events()
        )
        with pytest.raises(StageError, match="v6-node-test failed"):
            kubectl.helm("test", RELEASE, namespace=leave.namespace)
        assert "Algorithms reach what they must not" in kubectl("logs", "v6-node-test", namespace=leave.namespace)
        new = researcher.send(images["behave"].ref, "sleep", 0, to=[leave.account.organization])
        assert careless.status() == "online"
        wait_until(lambda: not status(careless)["passed"], NOTICED_SECONDS, lambda: f"not noticed: {status(careless)}")
        assert new.statuses() == ["pending"]
        assert [leave.status(), kill.status()] == ["offline"] * 2
        start = time.monotonic()
    for node in (leave, kill):
        node.wait_online(NOTICED_SECONDS)
    figures.note(
        "the gate",
        f"offline {seconds:.1f} s after a policy opened a way, online {time.monotonic() - start:.1f} s later",
    )
    left, killed = running.wait(120).runs()
    assert left["status"] == "completed"
    assert killed["status"] == "killed by user"
    assert "its isolation does not hold" in killed["log"]
    assert new.wait(60).statuses() == ["completed"], "what was sent meanwhile is done now"


def test_a_policy_for_tasks_with_a_database_is_found_too(nodes: dict[str, Node], kubectl: Kubectl) -> None:
    node = nodes["leave"]
    narrow = deepcopy(GENEROUS)
    narrow["spec"]["podSelector"] = {"matchLabels": {"v6-node.vantage6.ai/database.registry": "granted"}}
    with generous(kubectl, node, policy=narrow):
        node.wait_offline(NOTICED_SECONDS)
        assert "Algorithms of tasks with databases reach what they must not: " in status(node)["reason"]
    node.wait_online(NOTICED_SECONDS)


def test_a_policy_that_opens_what_no_check_tries_is_found_too(nodes: dict[str, Node], kubectl: Kubectl) -> None:
    """One run, one address, which is nobody's: no diagnostics algorithm gets out."""
    node = nodes["leave"]
    narrow = deepcopy(GENEROUS)
    narrow["spec"] = {
        "podSelector": {"matchLabels": {"v6-node.vantage6.ai/run-id": "123456"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.77/32"}}]}],
    }
    with generous(kubectl, node, policy=narrow):
        node.wait_offline(NOTICED_SECONDS)
        assert status(node)["reason"].startswith("The NetworkPolicy generous, which is not the chart's, opens egress")
        assert all(row["as_expected"] for row in status(node)["rows"])
    node.wait_online(NOTICED_SECONDS)


def test_a_policy_of_the_chart_that_is_missing_is_noticed(nodes: dict[str, Node], kubectl: Kubectl) -> None:
    node = nodes["leave"]
    kubectl("delete", "networkpolicy", "v6-node-default-deny", namespace=node.namespace)
    node.wait_offline(NOTICED_SECONDS)
    wait_until(lambda: "v6-node-default-deny is missing" in status(node)["reason"], 30, lambda: str(status(node)))
    node.install()
    node.wait_online(NOTICED_SECONDS)


def test_where_it_is_not_required_that_is_said_loudly(nodes: dict[str, Node]) -> None:
    said = [each for each in nodes["not required"].launcher_events() if each["level"] == "WARNING"]
    assert any("isolation.required is false" in each["event"] for each in said)


def test_a_check_that_cannot_run_leaves_the_node_offline_and_says_why(nodes: dict[str, Node]) -> None:
    node = nodes["no image"]
    wait_until(lambda: bool(events(node, "IsolationFailed")), 60, lambda: node.kubectl.story(node.namespace))
    assert node.status() == "offline"
    assert "localhost/nowhere" in events(node, "IsolationFailed")[0]
    assert "localhost/nowhere" in status(node)["reason"]


def test_a_restart_reuses_what_was_checked(nodes: dict[str, Node]) -> None:
    node = nodes["leave"]
    # The restored policy of the test before may still be looked at.
    wait_until(lambda: status(node)["checked_at"] is not None, 60, lambda: str(status(node)))
    checked = status(node)["checked_at"]
    node.kill_launcher()
    node.wait_offline(30)
    node.wait_online(30)
    assert status(node)["checked_at"] == checked
    assert any(each["event"] == "the isolation was checked before" for each in node.launcher_events())


def test_an_upgrade_that_changes_something_is_checked_anew(nodes: dict[str, Node]) -> None:
    node = nodes["leave"]
    checked = status(node)["checked_at"]
    node.values["isolation"]["accept"] = ["node-address"]
    node.install()
    wait_until(lambda: checked_again(node, checked), 90, lambda: node.kubectl.story(node.namespace))
    node.wait_online(30)


def checked_again(node: Node, before: float) -> bool:
    """Whether a new launcher passed a check since then."""
    try:
        told = status(node)
    except StageError:  # it is just starting
        return False
    return bool(told["passed"] and told["checked_at"] > before)


def test_nothing_is_left_of_checks(nodes: dict[str, Node]) -> None:
    node = nodes["leave"]
    # Deleted in the foreground: a Job is there until its pods are gone.
    wait_until(lambda: node.jobs() == [], 30, lambda: f"left: {[job['metadata']['name'] for job in node.jobs()]}")
    files = node.kubectl("exec", LAUNCHER, "--", "ls", "/tasks/runs", namespace=node.namespace).split()
    assert not [name for name in files if name.startswith("0-")]
