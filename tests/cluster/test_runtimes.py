"""Algorithms under runc, crun and gVisor: right results, the same isolation, and what it costs.

Each runtime has a node, whose default profile names its RuntimeClass: what the node checks by itself runs there too.
The images are the same ones for all.
"""

import subprocess
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from ci.cluster import Cluster, processes
from ci.images import Image, host
from launcher.waysout import probes
from tests import figures
from tests.cluster.isolation.matrix import collect, wrong
from tests.cluster.isolation.targets import SECONDS, Row, probe, surroundings
from tests.cluster.servers import database
from tests.cluster.services.test_databases import AGES, QUERY
from tests.cluster.test_profiles import SMALL, pod_of
from tests.cluster.troupe import Troupe
from tests.stage.client import moment
from tests.stage.federation import Researcher
from tests.stage.kube import Kubectl
from tests.stage.node import INTERNET, LAUNCHER, Node
from tests.stage.stagehand import Stagehand
from tests.stage.task import Task
from tests.stage.waiting import wait_until

pytestmark = pytest.mark.slow  # gVisor is built for it, once

STATES = {"runc": "runc/k8s.io/{}/state.json", "crun": "runc/k8s.io/{}/status", "gvisor": "runsc/k8s.io/{}*"}
"""What each runtime keeps of a container below /run/containerd, by the container's id."""
IN_FILE = [34.5, 61.0, 78.25]
LISTENING = 9000
ROUNDS = 5
LONGER = 5.0
every_runtime = pytest.mark.parametrize("runtime", STATES)


@dataclass(frozen=True)
class Scene:
    """A node for each runtime, all of one collaboration, with a database in a file and two that are servers."""

    nodes: dict[str, Node]
    classes: dict[str, str]
    researcher: Researcher
    images: dict[str, Image]
    machine: str
    host: str
    ports: dict[str, int]

    def send(self, runtime: str, image: str, method: str, *args: Any, databases: Any = (), **more: Any) -> Task:
        """Send a task to the node of one runtime."""
        to = [self.nodes[runtime].account.organization]
        reference = self.images[image].ref if image in self.images else image
        return self.researcher.send(reference, method, *args, to=to, databases=databases, **more)

    def addresses(self, runtime: str) -> set[str]:
        """Those of the pods of algorithms that there are."""
        pods = self.nodes[runtime].pods("algorithm")
        return {each["ip"] for pod in pods for each in pod["status"].get("podIPs", ())}

    def ways(self, runtime: str, listening: set[str]) -> list[Row]:
        """What there is to try, where somebody listens at these addresses."""
        here = surroundings(self.nodes[runtime], self.machine, (self.host, self.ports["other"]))
        others = [probe("other-run", host=address, port=LISTENING) for address in sorted(listening)]
        return [*probes(here, SECONDS), probe("own-database", host=self.host, port=self.ports["registry"]), *others]


@pytest.fixture(scope="module")
def classes(cluster: Cluster, kubectl: Kubectl, runtime_class: str) -> dict[str, str]:
    """The RuntimeClass of each runtime."""
    found = {"runc": runtime_class, "crun": "crun", "gvisor": "gvisor"}
    if cluster.local:
        cluster.add_gvisor()
    elif missing := set(found.values()) - {each["metadata"]["name"] for each in kubectl.get("runtimeclasses")}:
        pytest.skip(f"this cluster has no RuntimeClass {', '.join(sorted(missing))}")
    return found


@pytest.fixture(scope="module")
def scene(  # noqa: PLR0917  everything comes together here
    troupe: Troupe,
    cluster: Cluster,
    images: dict[str, Image],
    classes: dict[str, str],
    postgres: Callable[[], int],
    stagehand: Stagehand,
) -> Scene:
    study, host = troupe.collaboration(len(classes)), cluster.host_address
    ports = {"registry": postgres(), "other": postgres()}
    path = stagehand.table("runtimes.csv", {"age": IN_FILE})
    databases = [database(label, host, port) for label, port in ports.items()]
    databases.append({"label": "ages", "type": "csv", "uri": path, "nodeName": stagehand.machine})
    nodes = {}
    for account, (runtime, name) in zip(study.nodes, classes.items(), strict=True):
        nodes[runtime] = node = troupe.node(study, account, databases=databases)
        profiles = {"sandbox": {"template": "sandbox.yaml.j2", "runtimeClassName": name}}
        node.values["jobs"] = {"resources": SMALL, "profiles": profiles, "defaultProfile": "sandbox"}
        node.values["admissionPolicy"] = {"enabled": True}
        node.install()
    for node in nodes.values():
        node.wait_online()
    return Scene(nodes, classes, study.researcher(), images, stagehand.machine, host, ports)


@every_runtime
def test_an_algorithm_reads_its_databases_and_returns_what_it_should(scene: Scene, runtime: str) -> None:
    def average(asked: str | dict[str, str]) -> Any:
        return scene.send(runtime, "average", "partial_average", column="age", databases=[asked]).wait().result()

    assert average("ages") == {"sum": sum(IN_FILE), "count": len(IN_FILE)}
    assert average({"label": "registry", "query": QUERY}) == AGES


@pytest.fixture(scope="module")
def of_docker(cluster: Cluster, images: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image `behave` in the format that is docker's own, by another name."""
    if not cluster.local:
        pytest.skip("only the local cluster takes archives")
    host.ensure_programs()
    reference = images["behave"].ref.replace("localhost/", "localhost/of-docker/")
    archive = tmp_path_factory.mktemp("docker") / "image.tar"
    target = f"docker-archive:{archive}:{reference}"
    subprocess.run(["skopeo", "copy", "--quiet", f"oci-archive:{images['behave'].tar}", target], check=True)
    cluster.load([archive])
    return reference


@every_runtime
def test_an_image_in_docker_s_own_format_runs_as_it_is(scene: Scene, of_docker: str, runtime: str) -> None:
    assert scene.send(runtime, of_docker, "sleep", 0).wait().result() == 0


@every_runtime
def test_it_runs_where_its_profile_says(scene: Scene, cluster: Cluster, runtime: str) -> None:
    node, task = scene.nodes[runtime], scene.send(runtime, "behave", "sleep", 600)
    pod = node.kubectl.get("pod", pod_of(node, task), namespace=node.namespace)
    assert pod["spec"]["runtimeClassName"] == scene.classes[runtime]
    if cluster.home:
        kept = processes.found(cluster.home).state.parent / "containerd"
        container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
        assert [name for name, state in STATES.items() if list(kept.glob(state.format(container)))] == [runtime]
    node.collaboration.federation.root.task.kill(task.id)
    assert task.wait(60).run()["status"] == "killed by user"


@every_runtime
def test_an_algorithm_is_nobody_and_can_t_become_anybody(scene: Scene, runtime: str) -> None:
    told = scene.send(runtime, "behave", "kernel").wait().result()
    machine = scene.nodes[runtime].kubectl.get("node", scene.machine)["status"]["nodeInfo"]
    if runtime == "gvisor":
        assert told["release"].endswith("-gvisor")
    else:
        assert told["release"] == machine["kernelVersion"]
        assert told["system calls filtered"]
    assert told["user"] > 0
    assert (told["capabilities"], told["no new privileges"]) == (0, True)
    # Everybody may write to both by their modes: it is the mount that forbids it.
    paths = ["/var/tmp/new", "/mnt/ages.csv", "/tmp/new"]
    outcomes = scene.send(runtime, "behave", "write", paths, databases=["ages"]).wait().result()
    assert list(outcomes.values()) == ["EROFS", "EROFS", "written"]


@every_runtime
def test_the_node_s_own_check_runs_there_too_and_passes(scene: Scene, runtime: str) -> None:
    node = scene.nodes[runtime]
    command = ("exec", LAUNCHER, "--", "python", "-m", "launcher", "check-isolation")

    def under() -> set[str]:
        return {pod["spec"].get("runtimeClassName") for pod in node.pods("algorithm")}

    with ThreadPoolExecutor() as pool:
        check = pool.submit(node.kubectl, *command, namespace=node.namespace)
        wait_until(lambda: under() == {scene.classes[runtime]}, 60, lambda: f"there are pods of {under()}", every=0.1)
        assert "The isolation holds" in check.result()


@pytest.fixture(scope="module")
def waiting(scene: Scene) -> dict[str, Task]:
    """A run of each runtime that lets in who gets there; from its own pod somebody does."""
    tasks = {runtime: scene.send(runtime, "v6-node-diagnostics", "hold", 60, LISTENING) for runtime in scene.nodes}
    code = f"import socket; socket.create_connection(('localhost', {LISTENING}), 3)"
    for runtime, task in tasks.items():
        node = scene.nodes[runtime]
        node.kubectl("exec", pod_of(node, task), "--", "python", "-c", code, namespace=node.namespace)
    return tasks


def _callers(cluster: Cluster) -> list[str]:
    """The addresses that called the local cluster's stand-in for the internet, the latest last."""
    if not cluster.home:
        return []
    return [line.split()[-1] for line in (cluster.home.log / "internet.log").read_text().splitlines()]


def test_it_reaches_its_proxy_and_its_database_and_nothing_else(
    scene: Scene, waiting: dict[str, Task], cluster: Cluster, stagehand: Stagehand
) -> None:
    """Nor does one algorithm get in to another, whichever runtime each of them has."""
    earlier = len(_callers(cluster))  # of whom some had an address that a pod of this test has now
    assert stagehand.reach([{"host": INTERNET[0], "port": 443}]) == ["connected"], "somebody is there"
    came = {runtime: scene.addresses(runtime) for runtime in scene.nodes}
    listening = set().union(*came.values())
    tasks = {
        runtime: scene.send(
            runtime, "v6-node-diagnostics", "probe", scene.ways(runtime, listening), databases=["registry"]
        )
        for runtime in scene.nodes
    }

    def ended() -> bool:
        for runtime, addresses in came.items():
            addresses.update(scene.addresses(runtime))
        return all(task.finished() for task in tasks.values())

    wait_until(ended, 180, lambda: f"{tasks} are not finished")
    found = {runtime: wrong("a service as database", collect(task.result())) for runtime, task in tasks.items()}
    assert found == {runtime: [] for runtime in tasks}
    if cluster.home:
        callers = _callers(cluster)[earlier:]
        assert callers, "the stagehand's call was seen"
        assert set().union(*came.values()) > listening, "the pods that tried were seen"
        assert not set().union(*came.values()) & set(callers)
    for task in waiting.values():
        visitors = {each.removeprefix("::ffff:") for each in task.wait(120).result()["visitors"]}
        assert visitors, "it listened"
        assert visitors <= {"127.0.0.1", "::1"}


def test_what_a_runtime_costs(scene: Scene) -> None:
    """In turns, one run at a time, and the least of each counts: other load of the machine only ever adds."""
    took: dict[str, dict[str, list[float]]] = {runtime: defaultdict(list) for runtime in scene.nodes}
    for _ in range(ROUNDS):
        for runtime, samples in took.items():
            task = scene.send(runtime, "behave", "speed").wait()
            for kind, seconds in task.result().items():
                samples[kind].append(seconds)
            samples["the whole run"].append((moment(task.run()["finished_at"]) - task.created()).total_seconds())
    least = {runtime: {kind: min(all_) for kind, all_ in of.items()} for runtime, of in took.items()}
    for kind, seconds in least["runc"].items():
        others = ", ".join(f"{name} {of[kind] / seconds:.2f} ×" for name, of in least.items() if name != "runc")
        figures.note("runtimes", f"{kind}: runc {seconds:.3f} s, {others} (the least of {ROUNDS}, in turns)")
    for runtime, of in least.items():
        assert of["the whole run"] < LONGER * least["runc"]["the whole run"], runtime
