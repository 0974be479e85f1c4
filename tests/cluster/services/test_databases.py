"""Databases that are services: read by who asked for them, reached by nobody else, credentials shown to nobody."""

from collections.abc import Callable
from typing import Any

import pytest

from ci.cluster import Cluster
from ci.images import Image
from tests.cluster.servers import PASSWORD, database
from tests.cluster.troupe import Troupe
from tests.stage.federation import Researcher
from tests.stage.kube import Kubectl
from tests.stage.names import Names
from tests.stage.node import Node

QUERY = "SELECT age FROM ages"
AGES = {"sum": 34.5 + 61 + 78.25 + 50, "count": 4}
LABELS = ["inside", "outside", "named", "db", "db_prod"]


@pytest.fixture(scope="module")
def places(
    cluster: Cluster, postgres: Callable[[], int], there: str, names: Names
) -> dict[str, tuple[str, int, dict[str, Any]]]:
    """Host and port of each database by its label, and what else `reach` has to say of it."""
    here = cluster.host_address
    pods = {"inCluster": {"namespace": there, "podSelector": {"app": "postgres"}, "port": 6432}}
    return {
        "inside": (f"postgres.{there}.svc.cluster.local", 5432, pods),
        "outside": ("registry.example.org", postgres(), {"addresses": [here]}),
        "named": (names.set("by-name", here), postgres(), {}),
        "db": (here, postgres(), {}),
        "db_prod": (here, postgres(), {}),
    }


def entry(label: str, place: tuple[str, int, dict[str, Any]]) -> dict[str, Any]:
    host, port, more = place
    return {**database(label, host, port, **more), "env": {"region": "north"}}


@pytest.fixture(scope="module")
def nodes(troupe: Troupe, places: dict[str, Any]) -> tuple[Node, Node]:
    """Two nodes of one cluster. The second calls `db` what the first calls `db_prod`."""
    study = troupe.collaboration(2)
    first = troupe.node(study, study.nodes[0], databases=[entry(label, places[label]) for label in LABELS])
    second = troupe.node(study, study.nodes[1], databases=[entry("db", places["db_prod"])])
    for node in (first, second):
        node.install()
    return first.wait_online(), second.wait_online()


@pytest.fixture(scope="module")
def researcher(nodes: tuple[Node, Node]) -> Researcher:
    return nodes[0].collaboration.researcher()


@pytest.mark.contract("§11 sql")
@pytest.mark.parametrize("label", LABELS)
def test_an_algorithm_reads_the_database_it_asked_for(
    researcher: Researcher, nodes: tuple[Node, Node], images: dict[str, Image], label: str
) -> None:
    asked = [{"label": label, "query": QUERY}]
    to = [nodes[0].account.organization]
    task = researcher.send(images["average"].ref, "partial_average", column="age", to=to, databases=asked)
    assert task.wait().result() == AGES


@pytest.fixture(scope="module")
def targets(places: dict[str, tuple[str, int, dict[str, Any]]], kubectl: Kubectl, there: str) -> list[dict[str, Any]]:
    """Address and port of every database, in the order of `LABELS`."""
    service = kubectl.get("service", "postgres", namespace=there)["spec"]["clusterIP"]
    hosts = {label: more.get("addresses", [host])[0] for label, (host, _, more) in places.items()}
    hosts |= {"inside": service, "named": hosts["db"]}
    return [{"host": hosts[label], "port": places[label][1]} for label in LABELS]


@pytest.mark.contract("§9 databases asked for")
@pytest.mark.parametrize("asked", [[], ["inside"], ["outside"], ["named"], ["db"], ["db_prod"], ["db", "inside"]])
def test_an_algorithm_reaches_no_other(
    researcher: Researcher,
    nodes: tuple[Node, Node],
    images: dict[str, Image],
    targets: list[dict[str, Any]],
    asked: list[str],
) -> None:
    """By addresses, which it can know from elsewhere; the names it has only for what it asked for."""
    to = [nodes[0].account.organization]
    task = researcher.send(images["behave"].ref, "reach", targets, to=to, databases=[{"label": each} for each in asked])
    outcomes = dict(zip(LABELS, [each["outcome"] for each in task.wait().result()], strict=True))
    assert outcomes == {label: "connected" if label in asked else "timed out" for label in LABELS}


def test_two_nodes_do_not_widen_each_other(
    researcher: Researcher,
    nodes: tuple[Node, Node],
    images: dict[str, Image],
    places: dict[str, tuple[str, int, dict[str, Any]]],
) -> None:
    targets = [{"host": places[label][0], "port": places[label][1]} for label in ("db", "db_prod")]
    to = [node.account.organization for node in nodes]
    task = researcher.send(images["behave"].ref, "reach", targets, to=to, databases=["db"])
    by_organization = {
        run["organization"]["id"]: [each["outcome"] for each in result]
        for run, result in zip(task.wait().runs(), task.results(), strict=True)
    }
    first, second = (by_organization[node.account.organization.id] for node in nodes)
    assert first == ["connected", "timed out"]
    assert second == ["timed out", "connected"]


@pytest.mark.contract("§18 8 secrets of databases asked for only")
def test_credentials_are_where_they_belong(
    researcher: Researcher, nodes: tuple[Node, Node], images: dict[str, Image], kubectl: Kubectl
) -> None:
    node = nodes[0]
    to = [node.account.organization]
    asked = researcher.send(images["behave"].ref, "environment", to=to, databases=["db"]).wait().result()
    assert {"DB_DATABASE_TYPE", "DB_DATABASE_URI", "DB_DB_PARAM_REGION"} <= set(asked)
    assert not [name for name in asked if name.startswith(("DB_PROD_", "OUTSIDE_"))]
    everything = kubectl("get", "configmaps,jobs,pods,statefulsets,deployments", "-o", "yaml", namespace=node.namespace)
    assert PASSWORD not in everything
    assert PASSWORD not in node.launcher_log()
    launcher = f"system:serviceaccount:{node.namespace}:v6-node-launcher"
    may = kubectl.ask("auth", "can-i", "get", "secrets", f"--as={launcher}", namespace=node.namespace)
    assert may == "no"
