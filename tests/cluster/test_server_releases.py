"""A node and a researcher of today, and a server of an older release: subtasks by the proxy, log, and a kill."""

from collections.abc import Iterator

import pytest

from ci.cluster import Cluster
from ci.images import Image
from tests import figures
from tests.cluster import versions
from tests.cluster.troupe import Troupe
from tests.server.ways import Kind
from tests.stage.federation import Federation, Researcher
from tests.stage.node import Node
from tests.stage.server import Server
from tests.stage.server_python import MIDDLE, OLDEST
from tests.stage.stagehand import Stagehand
from tests.stage.task import Task
from tests.stage.waiting import wait_until
from tests.unit.keys import key_file

# The session is held with them in every way (tests/server). Here each is once behind all the rest of the node.
KINDS = {Kind(OLDEST, "websocket", "encrypted"): [], Kind(MIDDLE, "polling", "plain"): [pytest.mark.slow]}


@pytest.fixture(
    scope="module", params=[pytest.param(kind, id="-".join(kind), marks=marks) for kind, marks in KINDS.items()]
)
def kind(request: pytest.FixtureRequest) -> Kind:
    return Kind(*request.param)


@pytest.fixture(scope="module")
def server(kind: Kind, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"), cluster.host_address, release=kind.release)
    server.start()
    figures.note(figures.TESTED, *versions.of_vantage6(server))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def federation(server: Server) -> Federation:
    return Federation(server)


@pytest.fixture(scope="module")
def node(kind: Kind, troupe: Troupe, stagehand: Stagehand, tmp_path_factory: pytest.TempPathFactory) -> Node:
    study = troupe.collaboration(encrypted=kind.encrypted)
    path = stagehand.table(f"release-{kind.release}.csv", {"age": [20.0, 30.0, 70.0]})
    keys = {"databases": [{"label": "default", "type": "csv", "uri": path, "nodeName": stagehand.machine}]}
    if kind.encrypted:
        key = key_file(tmp_path_factory.mktemp("keys"), "hospital")
        study.keys = {study.nodes[0].organization.id: key}
        keys["encryption"] = {"enabled": True, "private_key": key.read_text()}
    node = troupe.node(study, **keys)
    node.values["network"] = {"server": {"transport": kind.transport}}
    return node.start()


def test_a_central_function_has_its_parts_computed_and_result_and_log_arrive(
    kind: Kind, node: Node, researcher: Researcher, images: dict[str, Image]
) -> None:
    task = researcher.send(images["average"].ref, "central_average", column="age", databases=["default"])
    assert task.wait(120).result() == {"average": pytest.approx(40.0), "count": 3, "parts": 1}
    assert "Asking organizations" in task.run()["log"]
    (child,) = task.children()
    (part,) = Task(researcher.client, child).runs()
    assert (part["status"], "3 of 3 rows have a value" in part["log"]) == ("completed", True)
    root = node.collaboration.federation.root
    for number in (task.id, child):
        (run,) = root.request("run", params={"task_id": number})["data"]
        (result,) = root.request("result", params={"task_id": number})["data"]
        unreadable = [text.count("$") == 2 for text in (run["input"], result["result"])]
        assert unreadable == [kind.encrypted] * 2


def test_a_kill_ends_the_algorithm(node: Node, researcher: Researcher, behave: str) -> None:
    task = researcher.send(behave, "sleep", 300)
    task.wait(60, until=lambda each: each.statuses() == ["active"])
    node.collaboration.federation.root.task.kill(task.id)
    wait_until(lambda: not node.jobs() and not node.pods("algorithm"), 30, lambda: f"left: {node.jobs()}")
    assert task.statuses() == ["killed by user"]
    assert node.status() == "online"
