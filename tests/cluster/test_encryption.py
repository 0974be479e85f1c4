"""An encrypted collaboration: the server sees neither input nor result, and the number is the same."""

import base64
import random
import statistics
from pathlib import Path

import pytest
from vantage6.common.encryption import RSACryptor

from ci.images import Image
from tests.cluster.troupe import Troupe
from tests.stage.federation import Collaboration, Researcher
from tests.stage.node import Node
from tests.stage.stagehand import Stagehand


@pytest.fixture(scope="module")
def ages() -> list[list[float]]:
    """The ages of three hospitals' patients."""
    chance = random.Random(21)
    return [[round(chance.gauss(60, 12), 1) for _ in range(n)] for n in (4, 30, 200)]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A private key for each hospital, made as vantage6 makes them."""
    folder = tmp_path_factory.mktemp("keys")
    paths = [folder / f"hospital-{index}.pem" for index in range(3)]
    for path in paths:
        RSACryptor.create_new_rsa_key(path)
    return paths


@pytest.fixture(scope="module")
def study(troupe: Troupe, stagehand: Stagehand, ages: list[list[float]], keys: list[Path]) -> Collaboration:
    study = troupe.collaboration(3, encrypted=True)
    study.keys = {account.organization.id: key for account, key in zip(study.nodes, keys, strict=True)}
    for index, account in enumerate(study.nodes):
        path = stagehand.table(f"encrypted-{index}.csv", {"age": ages[index]})
        database = {"label": "default", "type": "csv", "uri": path, "nodeName": stagehand.machine}
        encryption = {"enabled": True, "private_key": keys[index].read_text()}
        troupe.node(study, account, databases=[database], encryption=encryption).install()
    for node in troupe.nodes:
        node.wait_online()
    return study


@pytest.fixture(scope="module")
def researcher(study: Collaboration) -> Researcher:
    return study.researcher()


@pytest.mark.contract("§10 POST /task")
@pytest.mark.contract("§10 GET /result")
def test_the_federated_average_is_the_one_computed_directly_and_the_server_reads_nothing(
    study: Collaboration, researcher: Researcher, images: dict[str, Image], ages: list[list[float]]
) -> None:
    centre = study.nodes[0].organization
    task = researcher.send(images["average"].ref, "central_average", to=[centre], column="age", databases=["default"])
    result = task.wait(180).result()
    known = [age for hospital in ages for age in hospital]
    assert result["average"] == pytest.approx(statistics.fmean(known), rel=1e-9)
    assert (result["count"], result["parts"]) == (len(known), 3)
    (child,) = task.children()
    root = study.federation.root
    for number, count in ((task.id, 1), (child, 3)):
        inputs = [run["input"] for run in root.request("run", params={"task_id": number})["data"]]
        results = [each["result"] for each in root.request("result", params={"task_id": number})["data"]]
        assert (len(inputs), len(results)) == (count, count)
        assert all(text.count("$") == 2 for text in inputs + results), "key, vector and content, encrypted"


def test_an_input_for_another_key_is_reported(
    troupe: Troupe, study: Collaboration, researcher: Researcher, images: dict[str, Image], keys: list[Path]
) -> None:
    """The hospital's node gets another private key, while a task waits that was encrypted for the old one."""
    node = troupe.nodes[2]
    node.scale_launcher(0)
    node.wait_offline()
    task = researcher.send(images["average"].ref, "partial_average", to=[node.account.organization], column="age")
    node.values["node"]["encryption"]["private_key"] = keys[1].read_text()
    node.install()
    node.scale_launcher(1)
    run = task.wait(180).run()
    assert run["status"] == "failed"
    assert "can't be decrypted by this node" in run["log"]
    assert "node.encryption.private_key" in run["log"]
    events = [event["event"] for event in node.launcher_events() if event["level"] == "CRITICAL"]
    assert any("public key at the server belongs to another private key" in event for event in events)


def test_the_private_key_is_in_its_secret_and_nowhere_else(troupe: Troupe, study: Collaboration) -> None:
    node: Node = troupe.nodes[0]
    line = node.values["node"]["encryption"]["private_key"].splitlines()[5]
    for kind in ("configmaps", "pods", "statefulsets", "deployments", "events"):
        assert line not in str(node.kubectl.get(kind, namespace=node.namespace))
    assert line not in node.launcher_log()
    (pod,) = node.pods("proxy")
    assert line not in node.kubectl("logs", pod["metadata"]["name"], namespace=node.namespace)
    secret = node.kubectl.get("secret", "v6-node-private-key", namespace=node.namespace)
    assert line in base64.b64decode(secret["data"]["private_key.pem"]).decode()
