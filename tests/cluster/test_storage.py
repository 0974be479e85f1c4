"""Volumes on a cluster of two machines: who may run where, and what is said where nobody can.

Both machines see the disk of the one that they are on. So a folder of it, as a PersistentVolume that names no machine,
stands for a disk that can be attached to either, or for shared files; Kubernetes has to put pods right all the same.
"""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci.cluster import Cluster
from tests.cluster.conftest import beside, troupe_of
from tests.cluster.troupe import Troupe
from tests.stage import StageError
from tests.stage.claims import claim_folder, fill_claim
from tests.stage.node import LAUNCHER, Node
from tests.stage.task import Task
from tests.stage.waiting import wait_until

pytestmark = pytest.mark.slow  # a cluster of its own, and six installations

ONE, OTHER = "node1", "node2"
HOSTNAME = "kubernetes.io/hostname"
AGES = [34.5, 61.0, 78.25, 50.0]
TABLE = "age\n" + "\n".join(map(str, AGES)) + "\n"
AVERAGE = {"sum": sum(AGES), "count": len(AGES)}
APART = (
    "No machine that the algorithm may run on can mount all volumes that it needs, "
    "its databases and the task volume of this node: "
)


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """A folder of the host, with a table and room for task volumes; both machines have it."""
    folder = Path("/tmp", f"v6-storage-{secrets.token_hex(3)}")
    folder.mkdir()
    (folder / "ages.csv").write_text(TABLE)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def pair(disk: Path) -> Iterator[Cluster]:
    """A local cluster of two machines, which is gone before the disk that it uses."""
    yield from beside(nodes=2)


@pytest.fixture(scope="module")
def troupe(pair: Cluster, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troupe]:
    yield from troupe_of(pair, ["average", "behave"], request.config, tmp_path_factory)


def part(disk: Path, name: str) -> Path:
    """A folder of it that everybody may write to."""
    folder = disk / name
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def bind(node: Node, claim: str, folder: Path, mode: str, machine: str = "") -> str:
    """Make a claim for a folder; returns the claim's name."""
    claim_folder(node.kubectl, node.namespace, claim, folder, mode=mode, machine=machine)
    return claim


def machine_of(node: Node, task: Task) -> str:
    """Where the pod of a task's only run was put, by the scheduler's Event."""
    run = f"run-{task.run()['id']}-"
    (message,) = [
        each["message"]
        for each in node.kubectl.get("events", namespace=node.namespace)
        if each["reason"] == "Scheduled" and each["involvedObject"]["name"].startswith(run)
    ]
    return str(message.rpartition(" to ")[2])


def machine_of_launcher(node: Node) -> str:
    return str(node.kubectl.get("pod", LAUNCHER, namespace=node.namespace)["spec"]["nodeName"])


def another(machine: str) -> str:
    return OTHER if machine == ONE else ONE


def move_launcher(node: Node) -> str:
    """Delete its pod, as a drain does; returns where it is then."""
    node.kubectl("delete", "pod", LAUNCHER, namespace=node.namespace)

    def ready() -> bool:
        conditions = [each for pod in node.pods("launcher") for each in pod["status"].get("conditions", ())]
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    wait_until(ready, 90, lambda: node.kubectl.story(node.namespace))
    return machine_of_launcher(node)


def pod(node: Node, name: str, image: str, condition: str, container: dict[str, Any], **spec: Any) -> str:
    """Make a pod that has no rule of its own about others; returns where it is."""
    closed = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "it", "image": image, "securityContext": closed, **container}],
        **spec,
    }
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    node.kubectl.apply(manifest, namespace=node.namespace)
    node.kubectl("wait", f"--for=condition={condition}", f"pod/{name}", "--timeout=60s", namespace=node.namespace)
    return str(node.kubectl.get("pod", name, namespace=node.namespace)["spec"]["nodeName"])


def ballast(node: Node, image: str, machine: str) -> None:
    """Fill a machine, so that the scheduler prefers the other one."""
    busy = {"command": ["sleep", "infinity"], "resources": {"requests": {"cpu": "1200m"}}}
    pod(node, "ballast", image, "Ready", busy, nodeSelector={HOSTNAME: machine})


def control(node: Node, image: str, claim: str) -> str:
    """Where a pod goes that has the same claim."""
    mounting = {"command": ["true"], "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]
    return pod(node, "control", image, "PodScheduled", mounting, volumes=volumes)


def test_a_volume_of_one_machine_keeps_launcher_and_algorithms_together(troupe: Troupe, disk: Path) -> None:
    """Though the volume says nothing of machines, and the other one is emptier."""
    behave = troupe.images["behave"].ref
    node = troupe.node(troupe.collaboration())
    node.values["taskVolume"] = {"existingClaim": bind(node, "tasks", part(disk, "one"), "ReadWriteOnce")}
    node.start()
    home = machine_of_launcher(node)
    ballast(node, behave, home)
    assert control(node, behave, "tasks") == another(home), "what Kubernetes does without a rule"

    researcher = node.collaboration.researcher()
    tasks = [researcher.send(behave, "sleep", 1) for _ in range(3)]
    assert [task.wait().result() for task in tasks] == [1, 1, 1]
    assert {machine_of(node, task) for task in tasks} == {home}

    # A launcher that is moved follows what runs; when nothing does, it takes the volume along.
    long = researcher.send(behave, "sleep", 25)
    long.wait(60, until=lambda each: each.statuses() == ["active"])
    assert move_launcher(node) == home
    assert long.wait().result() == 25
    wait_until(lambda: not node.jobs(), 60, lambda: f"Jobs left: {node.jobs()}")
    assert move_launcher(node) == another(home)
    last = researcher.send(behave, "sleep", 0)
    assert last.wait().result() == 0
    assert machine_of(node, last) == another(home)


def test_a_volume_of_several_machines_is_used_by_both(troupe: Troupe, disk: Path) -> None:
    """Launcher on one, one algorithm on each; and databases of all kinds, each read where it is."""
    average, behave = (troupe.images[name].ref for name in ("average", "behave"))
    node = troupe.node(troupe.collaboration())
    node.values["taskVolume"] = {
        "existingClaim": bind(node, "tasks", part(disk, "several"), "ReadWriteMany"),
        "accessModes": ["ReadWriteMany"],
    }
    node.values["launcher"] = {"nodeSelector": {HOSTNAME: ONE}}
    node.values["jobs"] = {
        "profiles": {"there": {"nodeSelector": {HOSTNAME: OTHER}}},
        "profileRules": [{"profile": "there", "images": [behave.rpartition(":")[0]]}],
    }
    held, lying = {"type": "csv", "uri": "ages.csv"}, {"type": "csv", "uri": str(disk / "ages.csv")}
    databases = [
        {"label": "many", "claim": bind(node, "many", disk, "ReadWriteMany"), **held},
        {"label": "read_only", "claim": bind(node, "read-only", disk, "ReadOnlyMany"), **held},
        {"label": "host_any", **lying},
    ]
    for machine in (ONE, OTHER):
        claim = bind(node, machine, disk, "ReadWriteOnce", machine)
        databases += [{"label": f"once_{machine}", "claim": claim, **held}]
        databases += [{"label": f"host_{machine}", "nodeName": machine, **lying}]
    node.values["node"]["databases"] = databases
    node.start()
    researcher = node.collaboration.researcher()
    far = researcher.send(behave, "write", ["/mnt/tmp/mark"])
    tasks = {
        each["label"]: researcher.send(average, "partial_average", column="age", databases=[each["label"]])
        for each in databases
    }
    assert far.wait().result() == {"/mnt/tmp/mark": "written"}
    assert (machine_of_launcher(node), machine_of(node, far)) == (ONE, OTHER)
    assert {label: task.wait().result() for label, task in tasks.items()} == dict.fromkeys(tasks, AVERAGE)
    for machine in (ONE, OTHER):
        assert {machine_of(node, tasks[f"{kind}_{machine}"]) for kind in ("once", "host")} == {machine}


def test_a_claim_that_is_there_is_used_and_has_to_be_what_the_values_say(troupe: Troupe, disk: Path) -> None:
    node = troupe.node(troupe.collaboration())
    behave = troupe.images["behave"].ref
    fill_claim(node.kubectl, node.namespace, "mine", behave, files={"kept/note": b"1"})
    bind(node, "alone", disk, "ReadWriteOncePod")
    for claim, said in (
        ("mine", r"accessModes is ReadWriteMany, but taskVolume.existingClaim \"mine\" is ReadWriteOnce; set it to"),
        ("alone", r"existingClaim \"alone\" is ReadWriteOncePod, but the launcher and every algorithm write to it"),
    ):
        node.values["taskVolume"] = {"existingClaim": claim, "accessModes": ["ReadWriteMany"]}
        with pytest.raises(StageError, match=said):
            node.install()
    node.values["taskVolume"] = {"existingClaim": "mine"}
    node.start()
    assert node.collaboration.researcher().send(behave, "sleep", 0).wait().result() == 0
    inside = node.kubectl("exec", LAUNCHER, "--", "ls", "/tasks", namespace=node.namespace).split()
    assert {"kept", "runs"} <= set(inside)


@pytest.fixture(scope="module")
def elsewhere(troupe: Troupe, disk: Path) -> Node:
    """A node whose task volume is on one machine, and one of whose databases is on the other."""
    node = troupe.node(troupe.collaboration())
    node.values["node"]["databases"] = [
        {"label": "far", "type": "csv", "claim": bind(node, "far", disk, "ReadWriteOnce", OTHER), "uri": "ages.csv"},
        {"label": "near", "type": "csv", "uri": str(disk / "ages.csv"), "nodeName": ONE},
    ]
    node.values["jobs"] = {"waitForRepairSeconds": 10}
    return node.start()


def test_the_launcher_begins_where_its_databases_are(elsewhere: Node) -> None:
    assert machine_of_launcher(elsewhere) == ONE


def test_volumes_on_two_machines_are_said_to_be_and_other_runs_go_on(elsewhere: Node, troupe: Troupe) -> None:
    node, average = elsewhere, troupe.images["average"].ref
    researcher = node.collaboration.researcher()
    stuck, other = (
        researcher.send(average, "partial_average", column="age", databases=[label]) for label in ("far", "near")
    )
    assert other.wait().result() == AVERAGE
    run = stuck.wait().run()
    assert run["status"] == "start failed"
    assert f"{APART}0/2 nodes are available: 2 node(s)" in run["log"]
    assert "The site has to correct it." in run["log"]


def test_the_site_is_told_of_such_a_database_without_a_run(elsewhere: Node) -> None:
    def told() -> bool:
        said = [each for each in elsewhere.launcher_events() if each["event"] == "algorithms can't read a database"]
        return any(each["database"] == "far" and APART in each["reason"] for each in said)

    wait_until(told, 120, elsewhere.launcher_log)


def test_a_volume_that_cannot_grow_is_left_as_it_is(elsewhere: Node, troupe: Troupe) -> None:
    """local-path's StorageClass has no allowVolumeExpansion."""
    elsewhere.values["taskVolume"] = {"size": "2Gi"}
    with pytest.raises(StageError, match="only dynamically provisioned pvc can be resized and the storageclass"):
        elsewhere.install()
    claim = elsewhere.kubectl.get("pvc", "v6-node-tasks", namespace=elsewhere.namespace)
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert elsewhere.status() == "online"
    assert elsewhere.collaboration.researcher().send(troupe.images["behave"].ref, "sleep", 0).wait().result() == 0
