"""A LimitRange of the site's own in the node's namespace: what it adds to pods, and what it refuses."""

import pytest

from tests.cluster.test_profiles import SMALL, job_of, pod_of, send
from tests.cluster.troupe import Troupe
from tests.stage.federation import Researcher
from tests.stage.node import Node

LIMITS = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "site"},
    "spec": {
        "limits": [
            {
                "type": "Container",
                "default": {"cpu": "750m", "memory": "256Mi"},
                "defaultRequest": {"cpu": "10m", "memory": "32Mi"},
                "min": {"cpu": "10m"},
                "max": {"cpu": "1", "memory": "1Gi"},
            }
        ]
    },
}


@pytest.fixture(scope="module")
def node(troupe: Troupe) -> Node:
    """Online, so that its own pods and its checks were admitted."""
    node = troupe.node(troupe.collaboration())
    node.kubectl.apply(LIMITS, namespace=node.namespace)
    profiles = {"large": {"resources": {"limits": {"memory": "2Gi"}}}}
    node.values["jobs"] = {
        "resources": SMALL,
        "profiles": profiles,
        "profileRules": [{"profile": "large", "tasks": ["^large"]}],
    }
    return node.start()


def test_its_defaults_are_added_to_a_pod_and_nobody_minds(node: Node, researcher: Researcher, behave: str) -> None:
    task = send(researcher, "ordinary", behave, "sleep", 5)
    pod = node.kubectl.get("pod", pod_of(node, task), namespace=node.namespace)
    asked = job_of(node, task)["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert asked == SMALL, "the node asked for no limit of processors"
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "750m", **SMALL["limits"]}
    assert task.wait().result() == 5


def test_who_is_above_its_maximum_reads_so_in_a_sentence(node: Node, researcher: Researcher, behave: str) -> None:
    task = send(researcher, "large", behave, "sleep", 0)
    says = (
        "The cluster does not admit the algorithm's pod: maximum memory usage per Container is 1Gi, but limit is 2Gi. "
        "The site has to change jobs or the rule."
    )
    task.wait(90, until=lambda task: says in str(task.run()["log"]))
    assert task.statuses() == ["pending"], "the site may repair it"
    assert send(researcher, "ordinary", behave, "sleep", 0).wait().result() == 0, "nobody else waits"
    node.collaboration.federation.root.task.kill(task.id)
    assert task.wait(30).run()["status"] == "killed by user"
