"""Every way out, from algorithms with and without grants, and from a pod that nothing restricts.

The README shows the table; `V6_NODE_WRITE_README=1 pytest tests/cluster/isolation` writes it anew.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ci.cluster import Cluster
from ci.images import Image
from launcher.waysout import WAYS, probes
from tests import figures
from tests.cluster.isolation.matrix import COLUMNS, Cells, collect, publish, published, section, wrong
from tests.cluster.isolation.targets import SECONDS, Row, addresses, probe, surroundings
from tests.cluster.servers import database
from tests.cluster.troupe import Troupe
from tests.stage.kube import Kubectl
from tests.stage.node import INTERNET, Node, owner_of_this_process
from tests.stage.stagehand import Stagehand
from tests.stage.task import Task

HOLD_PORT = 9000
# Ways whose target lets nobody in: that it listens is shown from its own pod.
SHOWN_FROM_WITHIN = {"launcher", "other-run", "other-node"}
# What only algorithms have: there is no such thing for the control to try.
OF_ALGORITHMS = {"proxy", "egress-proxy", "whitelisted", "not-whitelisted", "own-database"}


@dataclass(frozen=True)
class Scene:
    """Two nodes, of which one has databases and the other a whitelist; a run that waits; and a free pod."""

    plain: Node
    listed: Node
    waiting: Task
    waiting_pod: dict[str, Any]
    free: Stagehand
    ports: dict[str, int]
    node_port: int
    there: str
    image: str

    def column(self, name: str) -> list[Row]:
        """What is to be tried from one column."""
        node = self.listed if name == "a whitelist" else self.plain
        other = "other" if name == "a service as database" else "registry"
        unasked = (node.collaboration.federation.server.url.removeprefix("http://"), self.ports[other])
        here = surroundings(node, self.free.machine, unasked, 3128 if name == "a whitelist" else None)
        return [*probes(here, SECONDS), *(probe(way, **target) for way, target in self._arranged(name, node))]

    def _arranged(self, column: str, node: Node) -> Iterator[tuple[str, dict[str, Any]]]:
        kubectl = node.kubectl
        host = node.collaboration.federation.server.url.removeprefix("http://")
        for address in addresses(kubectl, self.free.machine):
            yield "node-port", {"host": address, "port": self.node_port}
        for each in self.waiting_pod["status"]["podIPs"]:
            yield "other-run", {"host": each["ip"], "port": HOLD_PORT}
        for each in kubectl.get("pod", "postgres", namespace=self.there)["status"]["podIPs"]:
            yield "other-namespace", {"host": each["ip"], "port": 6432}
        stranger = self.plain if node is self.listed else self.listed
        (proxy,) = stranger.pods("proxy")
        for each in proxy["status"]["podIPs"]:
            yield "other-node", {"host": each["ip"], "port": 8080}
        if column == "a service as database":
            yield "own-database", {"host": host, "port": self.ports["registry"]}
        if column == "a whitelist":
            yield "whitelisted", {"host": INTERNET[0], "port": 443, "proxy": ["squid", 3128]}


@pytest.fixture(scope="module")
def free(kubectl: Kubectl, images: dict[str, Image]) -> Iterator[Stagehand]:
    """A pod with the diagnostics algorithm's code, and nothing that restricts it."""
    name = f"v6-free-{secrets.token_hex(3)}"
    with Stagehand(kubectl, name, images["v6-node-diagnostics"].ref, owner_of_this_process()) as hand:
        yield hand


@pytest.fixture(scope="module")
def scene(  # noqa: PLR0917  everything comes together here
    troupe: Troupe,
    cluster: Cluster,
    images: dict[str, Image],
    free: Stagehand,
    there: str,
    postgres: Callable[[], int],
    kubectl: Kubectl,
) -> Scene:
    ports = {"registry": postgres(), "other": postgres()}
    host = cluster.host_address
    databases = [database(label, host, port) for label, port in ports.items()]
    study = troupe.collaboration(2)
    plain = troupe.node(study, study.nodes[0], databases=databases)
    listed = troupe.node(study, study.nodes[1], whitelist={"destinations": [{"host": INTERNET[0], "port": 443}]})
    for node in (plain, listed):
        node.install()
    for node in (plain, listed):
        node.wait_online()
    spec = {"type": "NodePort", "selector": {"app": "postgres"}, "ports": [{"port": 6432}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "at-node"}}
    kubectl.apply({**service, "spec": {**spec, "ipFamilyPolicy": "PreferDualStack"}}, namespace=there)
    at_node = kubectl.get("service", "at-node", namespace=there)
    image = images["v6-node-diagnostics"].ref
    waiting = study.researcher().send(image, "hold", 600, HOLD_PORT, to=[plain.account.organization])
    waiting.wait(60, until=lambda task: task.statuses() == ["active"])
    pods = [pod for pod in plain.pods("algorithm") if pod["status"]["phase"] == "Running"]
    return Scene(plain, listed, waiting, pods[0], free, ports, at_node["spec"]["ports"][0]["nodePort"], there, image)


def _sent(scene: Scene, column: str) -> Task:
    node = scene.listed if column == "a whitelist" else scene.plain
    databases = ["registry"] if column == "a service as database" else []
    researcher = node.collaboration.researcher(node.account.organization)
    to = [node.account.organization]
    return researcher.send(scene.image, "probe", scene.column(column), to=to, databases=databases)


def _from_within(scene: Scene, row: Row, word: str = "") -> Row:
    """Try a way from the target's own pod, and say something there."""
    if row["name"] == "launcher":
        (pod,), namespace = scene.plain.pods("launcher"), scene.plain.namespace
    elif row["name"] == "other-node":
        (pod,), namespace = scene.listed.pods("proxy"), scene.listed.namespace
    else:
        pod, namespace = scene.waiting_pod, scene.plain.namespace
    connection = f"socket.create_connection(({row['host']!r}, {row['port']}), timeout=3)"
    code = f"import socket; {connection}.sendall({word.encode()!r})"
    scene.plain.kubectl("exec", pod["metadata"]["name"], "--", "python", "-c", code, namespace=namespace)
    return {**row, "observed": "connected"}


# An HTTP proxy that lets everything through, for as long as the code below runs.
WILLING_PROXY = """
import socket, threading
willing = socket.create_server(("127.0.0.1", 0))

def let_through():
    while True:
        asker, _ = willing.accept()
        host, _, port = asker.recv(1024).split()[1].decode().rpartition(":")
        try:
            with asker, socket.create_connection((host.strip("[]"), int(port)), timeout=3):
                asker.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
        except OSError:
            pass  # the asker sees that it got no answer

threading.Thread(target=let_through, daemon=True).start()
"""


def _through_a_willing_proxy(scene: Scene) -> list[Row]:
    """What the egress proxy refuses, through one that does not: that it was refused shows something."""
    asked = [row for row in scene.column("a whitelist") if row["name"] == "not-whitelisted"]
    code = f"""
import contextlib, io, json
from diagnostics import probe
rows = [dict(row, proxy=willing.getsockname()) for row in {asked!r}]
with contextlib.redirect_stdout(io.StringIO()):
    rows = probe(rows)
print(json.dumps(rows))
"""
    return list(scene.free.python(WILLING_PROXY + code))


def _control(scene: Scene) -> list[Row]:
    asked = [row for row in scene.column("no database") if row["name"] not in OF_ALGORITHMS]
    within = [_from_within(scene, row) for row in asked if row["name"] in SHOWN_FROM_WITHIN]
    freely = [row for row in asked if row["name"] not in SHOWN_FROM_WITHIN]
    return (
        within
        + _through_a_willing_proxy(scene)
        + scene.free.python(f"""
        import contextlib, io, json, pathlib
        from diagnostics import probe
        pathlib.Path("/mnt/data/task-of-somebody-else").mkdir(parents=True, exist_ok=True)
        with contextlib.redirect_stdout(io.StringIO()):
            rows = probe({freely!r})
        print(json.dumps(rows))
    """)
    )


@pytest.fixture(scope="module")
def cells(scene: Scene) -> Cells:
    """Everything tried: from three algorithms at once, and then from the control."""
    tasks = {column: _sent(scene, column) for column in COLUMNS if column != "control"}
    found = {column: collect(task.wait(180).result()) for column, task in tasks.items()}
    return {**found, "control": collect(_control(scene))}


@pytest.mark.contract("§14 isolation")
@pytest.mark.parametrize("column", COLUMNS)
def test_every_way_is_as_it_should_be(cells: Cells, column: str) -> None:
    assert wrong(column, cells[column]) == []


def test_every_way_was_tried_from_everywhere(cells: Cells) -> None:
    for column in COLUMNS:
        missing = {way.name for way in WAYS} - set(cells[column])
        granted = {"egress-proxy", "whitelisted", "not-whitelisted", "own-database"}
        allowed = OF_ALGORITHMS - {"not-whitelisted"} if column == "control" else granted
        assert missing <= allowed, column
        assert len(cells[column]) >= 20
    assert {"egress-proxy", "whitelisted", "not-whitelisted"} <= set(cells["a whitelist"])
    assert "own-database" in cells["a service as database"]


def test_a_researcher_need_not_say_what_to_try(scene: Scene) -> None:
    to = [scene.plain.account.organization]
    rows = scene.plain.collaboration.researcher().send(scene.image, "probe", to=to).wait(60).result()
    tried = collect(rows)
    assert {"proxy", "metadata", "lookup", "api-token", "root-file-system", "other-runs-files"} <= set(tried)
    assert wrong("no database", tried) == []
    assert all(row["as_expected"] for row in rows)


def test_nobody_gets_in_to_a_run(cells: Cells, scene: Scene) -> None:
    """The run that waits saw nobody but the control from within its own pod."""
    assert cells  # by then everybody has tried
    own = {each["ip"] for each in scene.waiting_pod["status"]["podIPs"]}
    row = [{**each, "observed": ""} for each in scene.column("no database") if each["name"] == "other-run"]
    tried = scene.free.python(f"""
        import contextlib, io, json
        from diagnostics import probe
        with contextlib.redirect_stdout(io.StringIO()):
            rows = probe({row!r})
        print(json.dumps(rows))
    """)
    assert {each["observed"] for each in tried} <= {"timed out", "unreachable"}
    _from_within(scene, row[0], "enough")
    visitors = {visitor.removeprefix("::ffff:") for visitor in scene.waiting.wait(120).result()["visitors"]}
    assert visitors
    assert visitors <= own


def test_the_readme_has_this_table(cells: Cells, cluster: Cluster) -> None:
    table = section(cells)
    figures.note("ways out", *table.splitlines())
    if os.environ.get("V6_NODE_WRITE_README"):
        publish(table)
    if cluster.local:  # elsewhere a way may be shut in another manner
        assert published() == table, "write it anew: V6_NODE_WRITE_README=1"
