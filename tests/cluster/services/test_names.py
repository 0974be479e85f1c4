"""Databases given by name: a name with several addresses, and one that moves while algorithms run."""

import socket
from collections.abc import Iterator

import pytest

from ci.cluster import Cluster
from ci.images import Image
from tests.cluster.troupe import Troupe
from tests.stage.federation import Researcher
from tests.stage.names import Names
from tests.stage.node import INTERNET, Node
from tests.stage.stagehand import Stagehand
from tests.stage.task import Task
from tests.stage.waiting import wait_until

PORT = 443  # of the stand-in for the internet, and of this machine's address for the pods
LONG_ENOUGH = 45.0  # seconds for the cluster's DNS to forget what it knew


@pytest.fixture(scope="module")
def listening(cluster: Cluster) -> Iterator[str]:
    """This machine's address, where somebody listens."""
    with socket.create_server((cluster.host_address, PORT), backlog=64):
        yield cluster.host_address


@pytest.fixture(scope="module")
def hosts(names: Names, listening: str) -> dict[str, str]:
    return {"several": names.set("several", listening, INTERNET[0]), "moving": names.set("moving", listening)}


@pytest.fixture(scope="module")
def node(troupe: Troupe, hosts: dict[str, str]) -> Node:
    databases = [
        {"label": label, "type": "other", "uri": f"tcp://{host}:{PORT}", "reach": [{"host": host, "port": PORT}]}
        for label, host in hosts.items()
    ]
    return troupe.node(troupe.collaboration(), databases=databases).start()


def test_all_addresses_of_a_name_are_known_and_open(
    researcher: Researcher, images: dict[str, Image], hosts: dict[str, str], listening: str
) -> None:
    image, addresses = images["behave"].ref, sorted([listening, INTERNET[0]])
    known = researcher.send(image, "resolve", hosts["several"], databases=["several"])
    targets = [{"host": address, "port": PORT} for address in addresses]
    tried = researcher.send(image, "reach", targets, databases=["several"])
    assert known.wait().result() == addresses
    assert [each["outcome"] for each in tried.wait().result()] == ["connected"] * 2


def test_what_somebody_adds_to_the_launchers_rules_is_undone(
    node: Node, researcher: Researcher, images: dict[str, Image]
) -> None:
    policy = "v6-node-database-moving-names"
    researcher.send(images["behave"].ref, "sleep", 0, databases=["moving"]).wait()
    before = node.kubectl.get("networkpolicy", policy, namespace=node.namespace)["spec"]["egress"]
    anywhere = '[{"op": "add", "path": "/spec/egress/-", "value": {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}}]'
    node.kubectl("patch", "networkpolicy", policy, "--type=json", f"--patch={anywhere}", namespace=node.namespace)

    def blocks() -> list[str]:
        rules = node.kubectl.get("networkpolicy", policy, namespace=node.namespace)["spec"].get("egress") or []
        return [block["ipBlock"]["cidr"] for rule in rules for block in rule["to"]]

    assert len(before) == 1
    wait_until(lambda: "0.0.0.0/0" not in blocks(), 30, lambda: f"still open: {blocks()}")
    node.wait_online()
    task = researcher.send(images["behave"].ref, "reach", [{"host": "192.0.2.1", "port": PORT}], databases=["moving"])
    assert task.wait().result()[0]["outcome"] == "timed out"


@pytest.mark.slow  # the cluster's DNS takes its time
def test_a_name_that_moves_while_algorithms_run(
    researcher: Researcher,
    images: dict[str, Image],
    hosts: dict[str, str],
    names: Names,
    stagehand: Stagehand,
) -> None:
    host, image = hosts["moving"], images["behave"].ref
    target = [{"host": host, "port": PORT}]

    def send(method: str, *args: object, after: float = 0) -> Task:
        return researcher.send(image, method, *args, after=after, databases=["moving"])

    before = [send("reach", target, after=LONG_ENOUGH), send("crash", "no such table", after=LONG_ENOUGH)]
    for task in before:
        task.wait(60, until=lambda task: task.statuses() == ["active"])
    names.set("moving", INTERNET[0])
    code = f"import json, socket; print(json.dumps(socket.gethostbyname({host!r})))"
    wait_until(lambda: stagehand.python(code) == INTERNET[0], LONG_ENOUGH, lambda: f"{host} did not move")

    known = researcher.send(image, "resolve", host, databases=["moving"])
    after = send("reach", target)
    assert known.wait().result() == [INTERNET[0]], "what starts now goes to the new address"
    assert after.wait().result()[0]["outcome"] == "connected"
    assert before[0].wait().result()[0]["outcome"] == "connected", "what ran already keeps its way"
    log = before[1].wait().run()["log"]
    assert f"the address of {host} changed from" in log
    assert "no such table" in log


def test_a_name_without_an_address_is_one_sentence(troupe: Troupe, images: dict[str, Image], there: str) -> None:
    host = f"nowhere.{there}.svc.cluster.local"
    database = {"label": "lost", "type": "other", "uri": "x", "reach": [{"host": host, "port": PORT}]}
    node = troupe.node(troupe.collaboration(), databases=[database]).start()
    task = node.collaboration.researcher().send(images["behave"].ref, "sleep", 0, databases=["lost"]).wait()
    assert task.statuses() == ["start failed"]
    assert f"The database host '{host}' has no address" in task.run()["log"]
