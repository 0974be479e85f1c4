"""A node whose server is reached by the site's HTTP proxy alone, over TLS of the site's own authority."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci.cluster import Cluster
from ci.cluster.certificates import Authority
from ci.images import Image
from tests.cluster.troupe import Troupe
from tests.stage.httpproxy import HttpProxy
from tests.stage.kube import Kubectl
from tests.stage.node import Node
from tests.stage.recorder import Recorder
from tests.stage.server import Server
from tests.stage.stagehand import Stagehand
from tests.stage.waiting import wait_until

NAME = "vantage6.invalid"  # which nobody but the HTTP proxy knows
AGES = [34.5, 61.0, 78.25, 50.0]


@pytest.fixture(scope="module")
def front(server: Server, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    folder = tmp_path_factory.mktemp("authority")
    Authority.create(folder).issue("server", "server", server=[NAME])
    target = f"{server.url}:{server.port}"
    with Recorder(cluster.host_address, target, tls=(folder / "server.crt", folder / "server.key")) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def http_proxy(cluster: Cluster) -> Iterator[HttpProxy]:
    with HttpProxy(cluster.host_address) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def node(troupe: Troupe, stagehand: Stagehand, cluster: Cluster, front: Recorder, http_proxy: HttpProxy) -> Node:
    path = stagehand.table("way/ages.csv", {"age": AGES, "weight": AGES})
    here: dict[str, Any] = {"nodeName": stagehand.machine}
    databases = [
        {"label": "default", "type": "csv", "uri": path, **here},
        {"label": "absent", "type": "csv", "uri": f"{stagehand.folder}/way/absent.csv", **here},
    ]
    node = troupe.node(troupe.collaboration(), port=front.port, databases=databases)
    node.values["node"] |= {
        "server_url": f"https://{NAME}",
        "run_context_file": True,
        "prometheus": {"enabled": True, "report_interval_seconds": 5},
    }
    address = f"{cluster.host_address}:{http_proxy.port}"
    full = f"--from-literal=url=http://node:secret@{address}"
    troupe.kubectl("create", "secret", "generic", "site-proxy", full, namespace=node.namespace)
    authority: Path = front.tls[0].with_name("ca.crt") if front.tls else Path()
    node.values["network"] = {
        "server": {"transport": "websocket", "ca": {"pem": authority.read_text()}},
        "httpProxy": {
            "url": f"http://{address}",
            "existingSecret": "site-proxy",
            "cidrs": [f"{cluster.host_address}/32"],
        },
    }
    return node.start()


@pytest.mark.contract("§2 TLS")
@pytest.mark.contract("§2 HTTP proxy")
def test_launcher_and_algorithms_reach_the_server_through_the_http_proxy(
    node: Node, images: dict[str, Image], front: Recorder, http_proxy: HttpProxy
) -> None:
    """A central function asks the server itself, by way of the node's proxy."""
    task = node.collaboration.researcher().send(
        images["average"].ref, "central_average", column="age", databases=["default"]
    )
    assert task.wait(120).result()["average"] == pytest.approx(sum(AGES) / len(AGES))
    asked = {(each.method, each.path.removeprefix("/api")) for each in front.exchanges if each.status < 300}
    assert {("POST", "/token/node"), ("POST", "/token/container"), ("POST", "/task")} <= asked
    assert set(http_proxy.asked) == {f"{NAME}:{front.port}"}
    assert set(http_proxy.credentials) == {"Basic bm9kZTpzZWNyZXQ="}


@pytest.mark.contract("§12 database_columns")
def test_a_researcher_sees_the_columns_of_a_csv_file_that_the_launcher_never_mounted(node: Node) -> None:
    def told() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in node.collaboration.federation.root.node.get(node.account.id)["config"]:
            found.setdefault(row["key"], []).append(row["value"])
        return found

    wait_until(lambda: told().get("columns_default") == ["age", "weight"], 60, told)
    assert "columns_absent" not in told()
    (launcher,) = node.pods("launcher")
    assert [volume["name"] for volume in launcher["spec"]["volumes"] if volume["name"].startswith("database")] == []


@pytest.mark.slow  # a minute of patience
def test_a_database_that_no_algorithm_could_read_is_said_with_its_remedy(node: Node) -> None:
    def said() -> list[str]:
        events = [each for each in node.launcher_events() if "can't read a database" in each["event"]]
        return [each["reason"] for each in events if each["database"] == "absent"]

    wait_until(lambda: bool(said()), 240, lambda: str(node.launcher_events()[-20:]))
    assert "can't be mounted" in said()[0] and "correct its path" in said()[0]


@pytest.mark.contract("§12 node_metrics_update")
def test_the_server_gets_the_nodes_load(node: Node, server: Server) -> None:
    wait_until(lambda: "Updated metrics for node" in server.log.read_text(), 30, lambda: server.log.read_text()[-2000:])


@pytest.mark.contract("§9 run_context_file")
def test_an_algorithm_finds_its_run_described(node: Node, behave: str) -> None:
    researcher = node.collaboration.researcher()
    task = researcher.send(behave, "use", "$RUN_CONTEXT_FILE", databases=["default"]).wait()
    context = json.loads(task.result())
    assert context["x-vantage6"]["run_id"] == task.run()["id"]
    assert context["entrypoint"] == {"name": "use"}
    assert context["arguments"]["positional"] == ["$RUN_CONTEXT_FILE"]
    (database,) = context["inputs"]
    assert (database["id"], database["type"]) == ("default", "csv")
    assert researcher.send(behave, "use", database["uri"], databases=["default"]).wait().result().startswith("age,")


def test_that_the_node_is_online_is_an_event_of_the_launcher(node: Node, kubectl: Kubectl) -> None:
    reasons = {each["reason"] for each in kubectl.get("events", namespace=node.namespace)}
    assert "Online" in reasons
