"""Where it is measured: a cluster, a server, a node with a witness on either side, and a script in a node's place."""

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from benchmarks.journal import Journal, witness
from benchmarks.kube import RawApi
from benchmarks.serverside import Sender, Shadow
from benchmarks.sightings import SeenAtServer, SeenInCluster
from ci import cluster as clusters
from ci import images as image_builder
from ci.cluster import Cluster
from ci.images import Image
from tests.stage import StageError
from tests.stage.federation import Collaboration, Federation
from tests.stage.kube import STAGE_LABEL, Kubectl
from tests.stage.node import Node, orphaned, owner_of_this_process, remove_orphans, values_for
from tests.stage.server import Server

IMAGES = ["v6-node", "v6-node-diagnostics", "behave"]
_LOOK_EVERY = 0.02

T = TypeVar("T")


@dataclass
class Scene:
    """What all benchmarks of the cluster share."""

    cluster: Cluster
    kubectl: Kubectl
    images: dict[str, Image]
    server: Server
    federation: Federation
    api: RawApi
    http: aiohttp.ClientSession
    folder: Path

    @property
    def algorithm(self) -> str:
        """The image of the algorithm that does as it is told."""
        return self.images["behave"].ref

    def collaboration(self) -> Collaboration:
        """A collaboration of one new organization."""
        name = secrets.token_hex(3)
        return self.federation.collaboration(f"Study {name}", [self.federation.organization(f"Hospital {name}")])

    def node(self, collaboration: Collaboration, port: int = 0) -> Node:
        """A node of a collaboration with its namespace, not installed yet; `port`: of who stands before the server."""
        account = collaboration.nodes[0]
        values = values_for(account, self.server.url, port or self.server.port, self.images)
        owner = owner_of_this_process()
        name = f"v6-bench-{secrets.token_hex(3)}"
        node = Node(self.kubectl, collaboration, account, name, values, folder=self.folder, owner=owner)
        node.create_namespace()
        return node


@contextlib.asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    """Set it up; what was there before stays, and what is made is removed."""
    with tempfile.TemporaryDirectory(prefix="v6-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        cluster = await asyncio.to_thread(clusters.ensure)
        kubectl = Kubectl(cluster.kubeconfig)
        remove_orphans(kubectl, STAGE_LABEL)
        remove_leftovers(kubectl)
        images = await asyncio.to_thread(image_builder.ensure_loaded, cluster, IMAGES)
        server = Server(folder / "server", cluster.host_address)
        stack.callback(server.stop)
        await asyncio.to_thread(server.start)
        federation = await asyncio.to_thread(Federation, server)
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=120)
        async with (
            RawApi(cluster.kubeconfig) as api,
            aiohttp.ClientSession(connector=connector, timeout=timeout) as http,
        ):
            yield Scene(cluster, kubectl, images, server, federation, api, http, folder)


def remove_leftovers(kubectl: Kubectl) -> None:
    """Remove what is of no namespace and was left by a benchmark that was killed."""
    for kind in ("flowschemas", "nodes", "persistentvolumes"):
        for thing in kubectl.get(kind, selector=STAGE_LABEL):
            if orphaned(thing["metadata"]["labels"][STAGE_LABEL]):
                kubectl("delete", kind, thing["metadata"]["name"], "--wait=false")


@dataclass
class Stand:
    """A node with a witness on either side, and beside it a script in the place of another node."""

    scene: Scene
    node: Node
    sender: Sender
    shadow: Shadow
    shadow_sender: Sender
    _server_journal: Journal
    _cluster_journal: Journal
    at_server: SeenAtServer = field(default_factory=SeenAtServer)
    in_cluster: SeenInCluster = field(default_factory=SeenInCluster)

    @property
    def namespace(self) -> str:
        return self.node.namespace

    def look(self) -> None:
        """Read what the witnesses wrote since the last time."""
        self.at_server.take(self._server_journal.new())
        self.in_cluster.take(self._cluster_journal.new())

    async def until(
        self, condition: Callable[[], T | None], seconds: float, what: str, every: float = _LOOK_EVERY
    ) -> T:
        """Look until the condition is something. When it became so, the witnesses' times tell.

        Raises:
            StageError: it never was.
        """
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self.look()
                    if found := condition():
                        return found
                    await asyncio.sleep(every)
        except TimeoutError:
            raise StageError(
                f"After {seconds:.0f} s not seen in {self.namespace}: {what}.\n"
                f"{await asyncio.to_thread(self.scene.kubectl.story, self.namespace)}"
            ) from None

    async def quiet(self, seconds: float = 180) -> None:
        """Wait until all Jobs that were seen are gone."""
        await self.until(
            lambda: all(job.gone and (job.pod_gone or not job.scheduled) for job in self.in_cluster.jobs.values()),
            seconds,
            "the end of all Jobs",
        )


@contextlib.asynccontextmanager
async def stand(
    scene: Scene, values: dict[str, Any] | None = None, prepare: Callable[[str], None] = lambda namespace: None
) -> AsyncIterator[Stand]:
    """A node that is online.

    Args:
        scene: where.
        values: further ones of the chart.
        prepare: told the namespace, before anything is installed in it.
    """
    with tempfile.TemporaryDirectory(dir=scene.folder) as name:
        folder = Path(name)
        ours, theirs = await asyncio.to_thread(lambda: (scene.collaboration(), scene.collaboration()))
        target = f"{scene.server.url}:{scene.server.port}"
        at_server, in_cluster = folder / "server.jsonl", folder / "cluster.jsonl"
        address = scene.cluster.host_address
        async with witness("benchmarks.server_witness", address, target, str(at_server)) as port:
            node = scene.node(ours, int(port))
            node.values |= values or {}
            await asyncio.to_thread(prepare, node.namespace)
            try:
                kubeconfig = str(scene.cluster.kubeconfig)
                async with witness("benchmarks.cluster_witness", kubeconfig, node.namespace, str(in_cluster)):
                    await asyncio.to_thread(node.install)
                    await asyncio.to_thread(node.wait_online)
                    senders = [await Sender.of(scene.http, each) for each in (ours, theirs)]
                    journals = Journal(at_server), Journal(in_cluster)
                    async with Shadow.online(scene.http, f"{scene.server.url}:{port}", theirs) as shadow:
                        yield Stand(scene, node, senders[0], shadow, senders[1], *journals)
            finally:
                await asyncio.to_thread(node.remove)
