"""Claims that are met: Dynamic Resource Allocation on a local cluster with containerd 2, and a driver with two GPUs.

The GPUs are none, as in test_gpu.py: each is a /dev/null by another name, which containerd puts into the container as
the driver (ci/cluster/components/dra-driver) specifies it.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from ci.cluster import Cluster
from tests.cluster.conftest import beside, troupe_of
from tests.cluster.test_gpu import NOTHING, kill, log_of
from tests.cluster.test_profiles import SMALL, pod_of, send
from tests.cluster.troupe import Troupe
from tests.stage.federation import Researcher
from tests.stage.node import Node
from tests.stage.task import Task
from tests.stage.waiting import wait_until

pytestmark = pytest.mark.slow  # a cluster of its own, for which containerd is built, once

DRIVER = "gpu.v6-node.test"
VARIABLE = "V6_NODE_VISIBLE_DEVICES"
SMALLER, LARGER = "gpu0", "gpu1"
ROOMY = f"device.capacity['{DRIVER}'].memory.isGreaterThan(quantity('39Gi'))"
PROFILES = ("any", "large")
JOBS = {
    "resources": SMALL,
    "profiles": {name: {"template": "gpu.yaml.j2", "gpu": {"resourceClaimTemplateName": name}} for name in PROFILES},
    "profileRules": [{"profile": name, "tasks": [f"^{name}"]} for name in PROFILES],
}


def resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "resource.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def claim_template(name: str, **which: Any) -> dict[str, Any]:
    requests = [{"name": "gpu", "exactly": {"deviceClassName": DRIVER, **which}}]
    return resource("ResourceClaimTemplate", name, {"spec": {"devices": {"requests": requests}}})


@pytest.fixture(scope="module")
def offering() -> Iterator[Cluster]:
    """A local cluster whose devices can be claimed."""
    yield from beside(dra=True)


@pytest.fixture(scope="module")
def troupe(
    offering: Cluster, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Troupe]:
    yield from troupe_of(offering, ["behave"], request.config, tmp_path_factory)


@pytest.fixture(scope="module")
def behave(troupe: Troupe) -> str:
    return troupe.images["behave"].ref


@pytest.fixture(scope="module")
def node(troupe: Troupe) -> Node:
    node = troupe.node(troupe.collaboration())
    ours = {"selectors": [{"cel": {"expression": f"device.driver == '{DRIVER}'"}}]}
    node.kubectl.apply(resource("DeviceClass", DRIVER, ours))
    templates = claim_template("any"), claim_template("large", selectors=[{"cel": {"expression": ROOMY}}])
    node.kubectl.apply(*templates, namespace=node.namespace)
    node.values["jobs"] = JOBS
    node.values["admissionPolicy"] = {"enabled": True}
    return node.start()


def claims(node: Node) -> list[dict[str, Any]]:
    return list(node.kubectl.get("resourceclaims", namespace=node.namespace))


def gpu_of(node: Node, task: Task) -> str:
    """What the scheduler chose for a task's only run, which is active."""
    pod = pod_of(node, task)
    (claim,) = [each for each in claims(node) if each["metadata"]["ownerReferences"][0]["name"] == pod]
    (chosen,) = claim["status"]["allocation"]["devices"]["results"]
    return str(chosen["device"])


def test_an_algorithm_gets_what_the_driver_gives_with_its_claim_and_the_claim_goes(
    node: Node, researcher: Researcher, behave: str
) -> None:
    given = send(researcher, "any", behave, "gpus").wait().result()
    gpu = given["variables"].get(VARIABLE)
    assert gpu in {SMALLER, LARGER}, given
    assert given == {"variables": {VARIABLE: gpu}, "nodes": {gpu: "written"}, "driver": ""}
    wait_until(lambda: not claims(node), 60, lambda: f"there are claims left: {claims(node)}")


def test_who_claims_nothing_gets_nothing(researcher: Researcher, behave: str) -> None:
    assert send(researcher, "ordinary", behave, "gpus").wait().result() == NOTHING


def test_the_third_waits_for_one_of_two_and_says_why(node: Node, researcher: Researcher, behave: str) -> None:
    """The first gets the larger one, since the other does not fit; the third takes what comes back."""
    large = send(researcher, "large", behave, "sleep", 600)
    assert gpu_of(node, large) == LARGER
    small = send(researcher, "any", behave, "sleep", 600)
    assert gpu_of(node, small) == SMALLER
    third = send(researcher, "any third", behave, "gpus")
    says = "No machine has room for the algorithm now: 0/1 nodes are available: 1 cannot allocate all claims."
    wait_until(lambda: says in log_of(third), 60, lambda: f"the log is {log_of(third)!r}")
    assert send(researcher, "ordinary", behave, "gpus").wait().result() == NOTHING, "nobody else waits"
    kill(node, large)
    assert third.wait().result()["nodes"] == {LARGER: "written"}, "its turn came, with the one that was given back"
    assert small.statuses() == ["active"]
    kill(node, small)
    small.wait(30)
