"""Each way in which a run can fail, brought about on a real cluster, and what the researcher reads of it.

docs/failures.md shows the table; `V6_NODE_WRITE_FAILURES=1 pytest tests/cluster/failures` writes it anew.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ci.cluster import Cluster
from ci.images import Image
from tests import figures
from tests.cluster.failures import page
from tests.cluster.failures.disruptions import Disruptions
from tests.cluster.failures.page import Row
from tests.cluster.troupe import Troupe
from tests.stage.claims import fill_claim
from tests.stage.kube import Kubectl
from tests.stage.node import Node
from tests.stage.registry import Registry
from tests.stage.stagehand import Stagehand
from tests.stage.task import Task

REPAIR_SECONDS = 20
MEBI = 2**20


@dataclass(frozen=True)
class Scene:
    """Nodes of different settings, and the algorithm that fails in them."""

    small: Node
    """Little memory, little /tmp, little time, and databases that can't be used."""
    picky: Node
    """Wants machines that there are none of."""
    greedy: Node
    """Wants more memory than any machine has, soon loses patience, and allows few images."""
    strict: Node
    """With a quota that has no room."""
    registry: Registry
    """One that has no such image, and some only for those who log in."""
    disruptions: Disruptions
    image: str

    def send(self, node: Node, *args: Any, image: str = "", databases: tuple[str, ...] = ()) -> Task:
        researcher = node.collaboration.researcher(node.account.organization)
        return researcher.send(image or self.image, *args, to=[node.account.organization], databases=databases)


def small(node: Node, kubectl: Kubectl, image: str, host_path: str) -> Node:
    """Databases: one without a file, one that nobody may read, one without its Secret's key."""
    fill_claim(kubectl, node.namespace, "locked", image, files={"locked.csv": b"a\n1\n"}, mode=0o600)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keyless"}, "stringData": {"other": "x"}}
    kubectl.apply(secret, namespace=node.namespace)
    node.values["node"]["databases"] = [
        {"label": "missing", "type": "csv", "uri": f"{host_path}/none.csv"},
        {"label": "locked", "type": "csv", "claim": "locked", "uri": "locked.csv"},
        {"label": "lost", "type": "csv", "claim": "no-such-claim", "uri": "x.csv"},
        {"label": "keyless", "type": "other", "existingSecret": "keyless", "reach": [{"host": "192.0.2.1", "port": 1}]},
    ]
    resources = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "300Mi"}}
    node.values["jobs"] = {
        "resources": resources,
        "tmpSizeLimit": "8Mi",
        "activeDeadlineSeconds": 150,
        "maxResultBytes": 1000,
        "waitForRepairSeconds": REPAIR_SECONDS,
    }
    return node


@pytest.fixture(scope="module")
def disruptions(kubectl: Kubectl, images: dict[str, Image]) -> Iterator[Disruptions]:
    disruptions = Disruptions(kubectl, images["behave"].ref)
    yield disruptions
    disruptions.end()


@pytest.fixture(scope="module")
def scene(  # noqa: PLR0917  what it is made of
    troupe: Troupe,
    kubectl: Kubectl,
    images: dict[str, Image],
    stagehand: Stagehand,
    registry: Registry,
    disruptions: Disruptions,
) -> Scene:
    image = images["behave"].ref
    study = troupe.collaboration(4)
    nodes = [troupe.node(study, account) for account in study.nodes]
    small(nodes[0], kubectl, image, stagehand.folder)
    impatient = {"waitForRepairSeconds": REPAIR_SECONDS, "waitForRoomSeconds": 45}
    nodes[1].values["jobs"] = {"nodeSelector": {"example.org/none": "here"}, **impatient}
    nodes[2].values["jobs"] = {
        "resources": {"requests": {"cpu": "10m", "memory": "9000Gi"}, "limits": {"memory": "9000Gi"}},
        **impatient,
    }
    # What the server knew of a node it would refuse itself.
    nodes[2].values["node"]["share_config"] = False
    nodes[2].values["node"]["policies"]["allowed_algorithms"] = ["^localhost[:/]"]
    nodes[3].values["jobs"] = impatient
    for node in nodes[1:]:
        # Their own check of the isolation would wait like any algorithm.
        node.values["isolation"]["required"] = False
    for node in nodes:
        node.install()
    for node in nodes:
        node.wait_online()
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "2"}}}
    kubectl.apply(quota, namespace=nodes[3].namespace)
    registry.push(images["average"].tar, "private/average:1")
    return Scene(*nodes, registry, disruptions, image)


# Cause -> how it is brought about, status, words of the sentence.
Sent = Callable[[Scene], Task]
CAUSES: dict[str, tuple[Sent, str, str]] = {
    # First: while there is another machine, the scheduler's words on the others would count it.
    "the machine is lost": (
        lambda scene: scene.disruptions.lose_machine(scene.picky, scene.send(scene.picky, "sleep", 0)),
        "unknown error", "its machine is gone from the cluster",
    ),
    "the image's registry can't be reached": (
        lambda scene: scene.send(scene.small, "f", image="localhost:1/no-such-algorithm:1"),
        "non-existing Docker image", "registry can't be reached",
    ),
    "the registry has no such image": (
        lambda scene: scene.send(scene.small, "f", image=f"{scene.registry.host}/team/no-such-algorithm:1"),
        "non-existing Docker image", "there is none of that name",
    ),
    "the registry wants a login for the image": (
        lambda scene: scene.send(scene.small, "f", image=f"{scene.registry.host}/private/average:1"),
        "non-existing Docker image", "the registry does not give it to this node",
    ),
    "a policy does not allow the image": (
        lambda scene: scene.send(scene.greedy, "f", image="registry.example.org/stranger:1"),
        "not allowed", "allowed_algorithms",
    ),
    "the node has no database of that label": (
        lambda scene: scene.send(scene.greedy, "sleep", 0, databases=("unheard_of",)),
        "start failed", "unheard_of",
    ),
    "the image's name is none": (
        lambda scene: scene.send(scene.small, "f", image="localhost/Not A Name"),
        "non-existing Docker image", "is not the name of an image",
    ),
    "no machine matches `jobs.nodeSelector`": (
        lambda scene: scene.send(scene.picky, "sleep", 0),
        "start failed", "didn't match Pod's node affinity/selector",
    ),
    "no machine has so much memory": (
        lambda scene: scene.send(scene.greedy, "sleep", 0),
        "start failed", "Insufficient memory",
    ),
    "a quota of the namespace is used up": (
        lambda scene: scene.send(scene.strict, "sleep", 0),
        "start failed", "exceeded quota: full",
    ),
    "a database's path does not exist": (
        lambda scene: scene.send(scene.small, "sleep", 0, databases=("missing",)),
        "start failed", "can't be mounted",
    ),
    "a database's claim does not exist": (
        lambda scene: scene.send(scene.small, "sleep", 0, databases=("lost",)),
        "start failed", "not found",
    ),
    "a database's Secret lacks a key": (
        lambda scene: scene.send(scene.small, "sleep", 0, databases=("keyless",)),
        "start failed", "couldn't find key uri in Secret",
    ),
    "a pod of higher priority needs the machine": (
        lambda scene: scene.disruptions.preempt(scene.small, scene.send(scene.small, "sleep", 240)),
        "unknown error", "needed by something of higher priority",
    ),
    "more memory than its limit": (
        lambda scene: scene.send(scene.small, "use_memory", 600 * MEBI),
        "crashed", "more memory than its limit of 300Mi",
    ),
    "more in /tmp than `jobs.tmpSizeLimit`": (
        lambda scene: scene.send(scene.small, "fill", "/tmp/x", 20 * MEBI, 145),
        "crashed", "more to /tmp than the 8Mi",
    ),
    "longer than `jobs.activeDeadlineSeconds`": (
        lambda scene: scene.send(scene.small, "sleep", 240),
        "crashed", "ran longer than the 150 seconds",
    ),
    "an exit code": (lambda scene: scene.send(scene.small, "exit_code", 3), "crashed", "ended with exit code 3."),
    "a fault in native code": (lambda scene: scene.send(scene.small, "signalled", 11), "crashed", "SIGSEGV"),
    "killed by a signal": (lambda scene: scene.send(scene.small, "signalled", 9), "crashed", "ended by SIGKILL"),
    "writing to the image": (
        lambda scene: scene.send(scene.small, "use", "/opt/x", "w"),
        "crashed", "the algorithm may not use /opt/x",
    ),
    "reading a database that its group may not": (
        lambda scene: scene.send(scene.small, "use", "/mnt/locked.csv", databases=("locked",)),
        "crashed", "The database locked is read-only, and an algorithm may read it if its group may",
    ),
    "no output": (lambda scene: scene.send(scene.small, "leave", "nothing"), "failed", "left no output that can be"),
    "an output that is none": (lambda scene: scene.send(scene.small, "leave", "pipe"), "failed", "not a regular file"),
    "more output than `jobs.maxResultBytes`": (
        lambda scene: scene.send(scene.small, "big_output", 2000), "failed", "larger than the 1000 bytes",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def tasks(scene: Scene) -> dict[str, Task]:
    """All at once: so none waits for another."""
    return {cause: sent(scene) for cause, (sent, _, _) in CAUSES.items()}


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    return {}


@pytest.mark.contract("§5 start failed")
@pytest.mark.contract("§5 crashed")
@pytest.mark.contract("§11 a file that is missing")
@pytest.mark.parametrize("cause", CAUSES)
def test_a_failure_has_a_status_and_a_sentence(tasks: dict[str, Task], rows: dict[str, Row], cause: str) -> None:
    run = tasks[cause].wait(300).run()
    _, status, words = CAUSES[cause]
    assert run["status"] == status, run["log"]
    assert words in run["log"].splitlines()[-1]
    rows[cause] = page.row(run)


def test_while_a_run_waits_the_researcher_reads_why(scene: Scene) -> None:
    task = scene.send(scene.greedy, "sleep", 0)
    task.wait(45, until=lambda each: "Insufficient memory" in (each.run()["log"] or ""))
    run = task.run()
    assert run["status"] == "pending"
    assert run["log"].startswith("The run waits. No machine has room for the algorithm now: ")


def test_the_page_has_this_table(rows: dict[str, Row], tasks: dict[str, Task], cluster: Cluster) -> None:
    assert set(rows) == set(CAUSES), "they must all have been seen"
    text = page.table(rows)
    figures.note("failures", *text.splitlines())
    if os.environ.get("V6_NODE_WRITE_FAILURES"):
        page.publish(text)
    if cluster.local:  # elsewhere the runtime may say it in other words
        assert page.published() == text, "write it anew: V6_NODE_WRITE_FAILURES=1"
