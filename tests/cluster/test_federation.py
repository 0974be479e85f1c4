"""The reason for it all: several nodes compute together what none may see alone."""

import math
import random

import pytest

from ci.images import Image
from tests.cluster.troupe import Troupe
from tests.stage.federation import Collaboration
from tests.stage.stagehand import Stagehand
from tests.stage.task import Task


@pytest.fixture(scope="module")
def ages() -> list[list[float]]:
    """The ages of three hospitals' patients, some unknown. Sizes differ, or an average of averages would do."""
    chance = random.Random(20)
    return [
        [round(chance.gauss(62, 14), 1) if chance.random() > 0.1 else math.nan for _ in range(n)] for n in (5, 80, 400)
    ]


@pytest.fixture(scope="module")
def study(troupe: Troupe, stagehand: Stagehand, ages: list[list[float]]) -> Collaboration:
    study = troupe.collaboration(3)
    for index, account in enumerate(study.nodes):
        path = stagehand.table(f"average-{index}.csv", {"age": ages[index]})
        database = {"label": "default", "type": "csv", "uri": path, "nodeName": stagehand.machine}
        troupe.node(study, account, databases=[database]).install()
    for node in troupe.nodes:
        node.wait_online()
    return study


@pytest.mark.contract("§10 AlgorithmClient")
def test_the_federated_average_of_three_nodes_equals_the_one_computed_directly(
    study: Collaboration, images: dict[str, Image], ages: list[list[float]]
) -> None:
    researcher = study.researcher()
    centre = study.nodes[0].organization
    task = researcher.send(images["average"].ref, "central_average", to=[centre], column="age", databases=["default"])
    result = task.wait(180).result()
    known = [age for hospital in ages for age in hospital if not math.isnan(age)]
    assert result["average"] == pytest.approx(math.fsum(known) / len(known), rel=1e-9)
    assert (result["count"], result["parts"]) == (len(known), 3)
    # The central function really asked the others, by way of the proxy: three runs, of a task that is its child.
    (child,) = task.children()
    runs = Task(researcher.client, child).runs()
    assert sorted(run["organization"]["id"] for run in runs) == sorted(node.organization.id for node in study.nodes)
    assert {run["status"] for run in runs} == {"completed"}


@pytest.mark.contract("§18 3 4xx through the proxy")
def test_what_the_server_refuses_an_algorithm_reaches_it_in_the_servers_words(
    study: Collaboration, images: dict[str, Image]
) -> None:
    stranger = study.federation.organization("Hospital Elsewhere")
    centre = study.nodes[0].organization
    task = study.researcher().send(
        images["average"].ref, "central_average", to=[centre], column="age", organizations=[stranger.id]
    )
    run = task.wait(120).run()
    assert run["status"] == "crashed"
    assert "not within the collaboration" in run["log"]
