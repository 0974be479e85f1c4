"""No verb of the launcher's Role is superfluous: with any of them taken away, the life of a node does not go well."""

import copy
import json
from typing import Any

import pytest

from ci.images import Image
from tests.cluster.troupe import Troupe
from tests.stage import StageError
from tests.stage.kube import Kubectl
from tests.stage.names import Names
from tests.stage.node import INTERNET, LAUNCHER, Node
from tests.stage.waiting import wait_until

pytestmark = pytest.mark.slow  # a dozen restarts, each with a run and a check

ROLE = "v6-node-launcher"
SECONDS = 40
# What the Role says, as the chart's tests have it; here each entry is tried.
VERBS = [
    *(("jobs", verb) for verb in ("get", "list", "watch", "create", "delete")),
    *(("pods", verb) for verb in ("list", "watch")),
    ("pods/log", "get"),
    *(("networkpolicies", verb) for verb in ("list", "watch", "patch")),
    *(("events", verb) for verb in ("list", "watch", "create")),
    ("serviceaccounts", "get"),
]


@pytest.fixture(scope="module")
def node(troupe: Troupe, names: Names) -> Node:
    host = names.set("verbs", INTERNET[0])
    # Not port 443, which the check tries at that address: nothing that is granted here is what it takes for a way out.
    database = {"label": "registry", "type": "other", "uri": "x", "reach": [{"host": host, "port": 80}]}
    return troupe.node(troupe.collaboration(), databases=[database]).start()


@pytest.fixture(scope="module")
def rules(node: Node, kubectl: Kubectl) -> list[dict[str, Any]]:
    return list(kubectl.get("role", ROLE, namespace=node.namespace)["rules"])


def live(node: Node, image: str) -> tuple[list[str], str]:
    """A restart, a run with a database by name, and a check of the isolation; however they go.

    Returns:
        The run's status, and what the check says.
    """
    # Not by the process: a new log, which this one's refusals are in and no other's.
    node.kubectl("delete", "pod", LAUNCHER, "--grace-period=1", namespace=node.namespace)
    task = node.collaboration.researcher().send(image, "sleep", 0, databases=["registry"])
    task.wait(SECONDS, until=lambda task: task.finished() or refused(node))
    check = ("python", "-m", "launcher", "check-isolation")
    said_of_check = node.kubectl.ask("exec", LAUNCHER, "--", *check, namespace=node.namespace)  # however it ends
    return task.statuses(), said_of_check


def refused(node: Node) -> bool:
    """Whether the launcher said that it may not do something."""
    try:
        return "is forbidden" in said(node)
    except StageError:
        return False


def said(node: Node) -> str:
    """The launcher's log, without the escapes of JSON."""
    return node.launcher_log().replace("\\", "")


def without(rules: list[dict[str, Any]], resource: str, verb: str) -> list[dict[str, Any]]:
    """The rules, of which one lacks a verb."""
    left = copy.deepcopy(rules)
    for rule in left:
        if rule["resources"] == [resource] and verb in rule["verbs"]:
            rule["verbs"].remove(verb)
    return [rule for rule in left if rule["verbs"]]


def give(kubectl: Kubectl, node: Node, rules: list[dict[str, Any]]) -> None:
    patch = json.dumps({"rules": rules})
    kubectl("patch", "role", ROLE, "--type=merge", "--patch", patch, namespace=node.namespace)


def test_every_verb_is_tried(rules: list[dict[str, Any]]) -> None:
    given = {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
    assert given == set(VERBS)


def test_with_all_verbs_nothing_is_refused(node: Node, images: dict[str, Image]) -> None:
    statuses, check = live(node, images["behave"].ref)
    assert not refused(node)
    assert statuses == ["completed"]
    assert "The isolation holds." in check, "else the gate is shut, and what follows does not get as far as its verb"


@pytest.mark.parametrize(("resource", "verb"), VERBS)
def test_without_a_verb_something_is_refused(  # noqa: PLR0917  the scene, and what is taken away
    node: Node, rules: list[dict[str, Any]], kubectl: Kubectl, images: dict[str, Image], resource: str, verb: str
) -> None:
    give(kubectl, node, without(rules, resource, verb))
    try:
        live(node, images["behave"].ref)
        wait_until(lambda: refused(node), 20, node.launcher_log)
        assert f'cannot {verb} resource "{resource}"' in said(node)
    finally:
        give(kubectl, node, rules)
