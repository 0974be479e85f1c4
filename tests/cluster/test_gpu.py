"""GPUs on a real cluster: counted by kubelet, allocated, waited for and given back; and claimed, as far as it goes.

The devices are none: a plugin of the tests' own offers them, each a /dev/null by another name. What a vendor's driver
does with real ones is not seen here (docs/gpus.md tells what to try there). Nor is a claim met: no driver for Dynamic
Resource Allocation is here (test_gpu_claims.py has one).
"""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from ci.cluster import Cluster
from tests.cluster.test_profiles import SMALL, accepted, job_of, pod_of, send
from tests.cluster.troupe import Troupe
from tests.stage import StageError
from tests.stage.deviceplugin import devices, offered
from tests.stage.federation import Researcher
from tests.stage.kube import Kubectl
from tests.stage.node import Node
from tests.stage.stagehand import Stagehand
from tests.stage.task import Task
from tests.stage.waiting import wait_until

pytestmark = pytest.mark.slow  # waits for GPUs that others have

NVIDIA, AMD = "nvidia.com/gpu", "amd.com/gpu"
TOLERATION = {"key": NVIDIA, "operator": "Exists", "effect": "NoSchedule"}
JOBS: dict[str, Any] = {
    "resources": SMALL,
    "caps": {"devices": 1},
    "profiles": {
        "nvidia": {
            "template": "gpu.yaml.j2",
            "gpu": {"resource": NVIDIA},
            "tolerations": [TOLERATION],
            "tmpSizeLimit": "128Mi",
        },
        "amd": {"gpu": {"resource": AMD, "count": 1}},
    },
    "profileRules": [{"profile": "nvidia", "tasks": ["^nvidia"]}, {"profile": "amd", "tasks": ["^amd"]}],
}
NOTHING = {"variables": {}, "nodes": {}, "driver": ""}


@pytest.fixture(scope="module")
def gpus(kubectl: Kubectl, stagehand: Stagehand, behave: str) -> Iterator[None]:
    """Two GPUs of one make and one of another."""
    machine = stagehand.machine
    if real := {NVIDIA, AMD} & offered(kubectl, machine).keys():
        pytest.skip(f"{machine} has real ones, which a second plugin would hide: {', '.join(real)}")
    with devices(kubectl, stagehand.namespace, machine, behave, {NVIDIA: 2, AMD: 1}):
        yield


@pytest.fixture(scope="module")
def node(troupe: Troupe, gpus: None, runtime_class: str) -> Node:
    """With a RuntimeClass in place of NVIDIA's."""
    node = troupe.node(troupe.collaboration())
    node.values["jobs"] = copy.deepcopy(JOBS)
    node.values["jobs"]["profiles"]["nvidia"]["runtimeClassName"] = runtime_class
    node.values["admissionPolicy"] = {"enabled": True}
    return node.start()


def kill(node: Node, task: Task) -> None:
    node.collaboration.federation.root.task.kill(task.id)


def log_of(task: Task) -> str:
    return str(task.run()["log"] or "")


@pytest.mark.parametrize(("profile", "resource"), [("nvidia", NVIDIA), ("amd", AMD)])
def test_an_algorithm_gets_what_the_plugin_gives_with_its_gpu(
    researcher: Researcher, behave: str, profile: str, resource: str
) -> None:
    given = send(researcher, profile, behave, "gpus").wait().result()
    [(variable, gpu)] = given["variables"].items()
    assert variable == f"{profile.upper()}_VISIBLE_DEVICES"
    assert given["nodes"] == {gpu: "written"}
    assert given["driver"] == f"{resource}\n"


def test_a_gpu_s_algorithm_has_room_in_dev_shm(researcher: Researcher, behave: str) -> None:
    """More than the 64 MiB that any container has there."""
    size = 80 * 2**20
    assert send(researcher, "nvidia loading", behave, "fill", "/dev/shm/x", size, 0).wait().result() == size


def test_who_asks_for_none_gets_and_pays_nothing(node: Node, researcher: Researcher, behave: str) -> None:
    task = send(researcher, "ordinary", behave, "gpus")
    pod = job_of(node, task)["spec"]["template"]["spec"]
    assert TOLERATION not in pod.get("tolerations", [])
    assert "runtimeClassName" not in pod
    assert pod["containers"][0]["resources"] == SMALL
    assert task.wait().result() == NOTHING


def test_the_third_waits_for_one_of_two_and_says_why(
    node: Node, researcher: Researcher, behave: str, stagehand: Stagehand, runtime_class: str
) -> None:
    first, second = (send(researcher, f"nvidia {name}", behave, "sleep", 600) for name in ("one", "two"))
    for task in (first, second):
        pod = node.kubectl.get("pod", pod_of(node, task), namespace=node.namespace)
        assert (pod["spec"]["nodeName"], pod["spec"]["runtimeClassName"]) == (stagehand.machine, runtime_class)
    third = send(researcher, "nvidia three", behave, "gpus")
    says = "No machine has room for the algorithm now: "
    wait_until(lambda: says in log_of(third), 60, lambda: f"the log is {log_of(third)!r}")
    assert f"Insufficient {NVIDIA}" in log_of(third)
    assert send(researcher, "ordinary", behave, "gpus").wait().result() == NOTHING, "nobody else waits"
    assert send(researcher, "amd", behave, "gpus").wait().result()["driver"] == f"{AMD}\n"
    kill(node, first)
    given = third.wait().result()
    assert len(given["nodes"]) == 1, "its turn came, with the one that was given back"
    assert second.statuses() == ["active"]
    kill(node, second)
    second.wait(30)


# Dynamic Resource Allocation: https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/

CLAIM = "one-gpu"
CLASS = "gpu.v6-test.example"
CLAIM_TEMPLATE = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceClaimTemplate",
    "metadata": {"name": CLAIM},
    "spec": {"spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": CLASS}}]}}},
}


@pytest.fixture(scope="module")
def claiming(troupe: Troupe, kubectl: Kubectl) -> Node:
    """A node with a profile that claims, not installed yet."""
    if "resource.k8s.io/v1" not in kubectl("api-versions").split():
        pytest.skip("Dynamic Resource Allocation is of Kubernetes 1.34 and newer")
    node = troupe.node(troupe.collaboration())
    profiles = {"claim": {"template": "gpu.yaml.j2", "gpu": {"resourceClaimTemplateName": CLAIM}}}
    rules = [{"profile": "claim", "tasks": ["^claim"]}]
    node.values["jobs"] = {"resources": SMALL, "profiles": profiles, "profileRules": rules}
    node.values["admissionPolicy"] = {"enabled": True}
    return node


def test_a_template_that_is_not_there_is_refused_by_name(claiming: Node) -> None:
    with pytest.raises(StageError, match=f'resourceClaimTemplateName "{CLAIM}" is no ResourceClaimTemplate of this '):
        claiming.install()


def test_a_claim_is_accepted_and_nobody_meets_it(claiming: Node, cluster: Cluster, behave: str) -> None:
    claiming.kubectl.apply(CLAIM_TEMPLATE, namespace=claiming.namespace)
    claiming.start()
    assert f"resourceClaimTemplateName: {CLAIM}" in accepted(claiming, cluster, behave, "--name", "claim")
    task = send(claiming.collaboration.researcher(), "claim", behave, "gpus")
    pod = job_of(claiming, task)["spec"]["template"]["spec"]
    assert pod["resourceClaims"] == [{"name": "gpu", "resourceClaimTemplateName": CLAIM}]
    assert pod["containers"][0]["resources"]["claims"] == [{"name": "gpu"}]
    wait_until(lambda: CLASS in log_of(task), 90, lambda: f"the log is {log_of(task)!r}")
    kill(claiming, task)
    assert task.wait(30).run()["status"] == "killed by user"


def test_a_claim_whose_template_went_says_so(claiming: Node, behave: str) -> None:
    claiming.kubectl("delete", "resourceclaimtemplate", CLAIM, namespace=claiming.namespace)
    task = send(claiming.collaboration.researcher(), "claim", behave, "gpus")
    says = "The devices that the algorithm needs can't be claimed: PodResourceClaim gpu: "
    wait_until(lambda: says in log_of(task), 90, lambda: f"the log is {log_of(task)!r}")
    kill(claiming, task)
    task.wait(30)
