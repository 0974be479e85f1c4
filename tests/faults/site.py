"""A node of the test image, and what can be put in its way: valves before server and API server.

launcher ── valve ──► recorder ──► vantage6 server        launcher ── valve ──► API server
    └──── direction: asks what shall happen at each step ────► the test
"""

import contextlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ci.cluster import Cluster
from tests.cluster.troupe import Troupe
from tests.faults.direction import Direction, Strike
from tests.stage import StageError
from tests.stage.detour import detour
from tests.stage.federation import Researcher
from tests.stage.kube import Kubectl
from tests.stage.node import LAUNCHER, Node, image_for
from tests.stage.recorder import Recorder
from tests.stage.task import Task
from tests.stage.valve import Valve
from tests.stage.watching import Witness

IMAGE = "v6-node-faults"
_RUNS = "v6-node.vantage6.ai/run-id"  # the node's own checks come and go as they like
_LOOK = """
import json, pathlib
tasks = pathlib.Path("/tasks")
folders = {kind: sorted(each.name for each in (tasks / kind).glob("*")) for kind in ("runs", "logs", "jobs")}
marks = {each.name: len(each.read_text().split()) for each in tasks.glob("jobs/*/mark-*")}
print(json.dumps({**folders, "marks": marks}))
"""


@dataclass(frozen=True)
class Volume:
    """What is on the task volume: names of folders, and how often each mark was left there."""

    runs: list[str]
    logs: list[str]
    jobs: list[str]
    marks: dict[str, int]


@dataclass(frozen=True)
class Wanted:
    """What a run shall do, and so how it has to end."""

    seconds: float = 0
    failure: str = ""
    killed: bool = False
    """By the researcher, while it runs."""
    calls: int = 0
    """Of the server, through the proxy."""

    @property
    def status(self) -> str:
        """How the server has to call its end."""
        return "killed by user" if self.killed else "crashed" if self.failure else "completed"


@dataclass(frozen=True)
class Sent:
    """A run that was sent."""

    task: Task
    run: int
    mark: str
    wanted: Wanted


@dataclass
class FaultySite:
    """A node that works, until told otherwise."""

    node: Node
    researcher: Researcher
    direction: Direction
    recorder: Recorder
    witness: Witness
    server_way: Valve
    api_way: Valve
    image: str
    """Of the algorithm `behave`."""
    belongings: dict[str, list[str]] = field(default_factory=dict)

    def send(self, wanted: Wanted, strikes: list[Strike] | None = None) -> Sent:
        """Send a task whose algorithm leaves a mark of its own, and say what shall happen to its run."""
        mark = f"mark-{secrets.token_hex(6)}"
        task = self.researcher.send(self.image, "tick", mark, wanted.seconds, wanted.failure, wanted.calls)
        sent = Sent(task, task.run()["id"], mark, wanted)
        self.direction.plan(sent.run, strikes or [])
        return sent

    def volume(self) -> Volume:
        """Look at the task volume."""
        said = self.node.kubectl("exec", LAUNCHER, "--", "python", "-c", _LOOK, namespace=self.node.namespace)
        return Volume(**json.loads(said))

    def objects(self) -> dict[str, list[str]]:
        """The names of what a run could leave in the namespace, by kind; of Jobs and pods those of runs."""
        found: dict[str, list[str]] = {}
        for kind, selector in (
            ("jobs", _RUNS),
            ("pods", _RUNS),
            ("secrets", ""),
            ("configmaps", ""),
            ("networkpolicies", ""),
            ("persistentvolumeclaims", ""),
        ):
            there: list[Any] = self.node.kubectl.get(kind, namespace=self.node.namespace, selector=selector)
            found[kind] = sorted(each["metadata"]["name"] for each in there)
        return found

    def at_rest(self) -> list[Volume]:
        """The volume, if nothing is left of any run in the cluster and on it; none while the launcher is away."""
        try:
            return [volume for volume in [self.volume()] if self.objects() == self.belongings and not volume.runs]
        except StageError:
            return []

    def launcher_falls(self) -> int:
        """How often the launcher's container ended otherwise than by order."""
        (pod,) = self.node.pods("launcher")
        return int(pod["status"]["containerStatuses"][0]["restartCount"])


@contextlib.contextmanager
def faulty_site(troupe: Troupe, cluster: Cluster, kubectl: Kubectl) -> Iterator[FaultySite]:
    """Make a site, online, and the ways around it; they end with the block, the node with the troupe."""
    server = troupe.federation.server
    address = cluster.host_address
    with (
        Recorder(address, f"{server.url}:{server.port}") as recorder,
        Valve(address, (address, recorder.port)) as server_way,
        Valve(address, kubectl.api_server()) as api_way,
        Direction(address) as direction,
    ):
        node = troupe.node(troupe.collaboration(), port=server_way.port)
        node.values |= {"image": image_for(troupe.images[IMAGE].ref)}
        detour(node, kubectl, address, api_way.port)
        node.values["launcher"]["extraEnv"].append({"name": "FAULTY_DIRECTOR", "value": f"{address}:{direction.port}"})
        node.values["network"]["apiServer"]["ports"].append(direction.port)
        node.start()
        _let_live(node)
        with Witness(kubectl.kubeconfig, node.namespace) as witness:
            researcher = node.collaboration.researcher()
            image = troupe.images["behave"].ref
            site = FaultySite(node, researcher, direction, recorder, witness, server_way, api_way, image)
            site.belongings = site.objects()
            yield site


def _let_live(node: Node) -> None:
    """Have kubelet not look whether the launcher is alive: one that is killed time after time, in a pod, seldom is."""
    probe = [{"op": "remove", "path": "/spec/template/spec/containers/0/livenessProbe"}]
    launcher = "statefulset/v6-node-launcher"
    node.kubectl("patch", launcher, "--type=json", "-p", json.dumps(probe), namespace=node.namespace)
    node.kubectl("rollout", "status", launcher, "--timeout=180s", namespace=node.namespace, seconds=200)
    node.wait_online()
