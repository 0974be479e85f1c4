"""Databases: files of every kind, on a machine's disk or in a claim; read by who asked for them, changed by nobody."""

import base64
from typing import Any

import pytest

from ci.images import Image
from tests.cluster.troupe import Troupe
from tests.stage.claims import fill_claim
from tests.stage.federation import Researcher
from tests.stage.kube import Kubectl
from tests.stage.node import Node
from tests.stage.stagehand import HOST_MOUNT, Stagehand

KINDS = {"csv": "ages.csv", "parquet": "ages.parquet", "excel": "ages.xlsx"}
AGES = [34.5, 61.0, 78.25, 50.0]


@pytest.fixture(scope="module")
def paths(stagehand: Stagehand) -> dict[str, str]:
    """The same table as three kinds of files, on a disk of the cluster; by type."""
    return {kind: stagehand.table(f"databases/{name}", {"age": AGES}) for kind, name in KINDS.items()}


@pytest.fixture(scope="module")
def node(
    troupe: Troupe, kubectl: Kubectl, images: dict[str, Image], stagehand: Stagehand, paths: dict[str, str]
) -> Node:
    node = troupe.node(troupe.collaboration())
    files = {f"cohort/{KINDS[kind]}": _content(stagehand, path) for kind, path in paths.items()}
    fill_claim(kubectl, node.namespace, "archive", images["behave"].ref, files=files, mode=0o666)
    here: dict[str, Any] = {"nodeName": stagehand.machine}
    there: dict[str, Any] = {"claim": "archive"}
    node.values["node"]["databases"] = [
        *({"label": f"host_{kind}", "type": kind, "uri": path, **here} for kind, path in paths.items()),
        *({"label": f"claim_{kind}", "type": kind, "uri": f"cohort/{name}", **there} for kind, name in KINDS.items()),
        {"label": "host_folder", "type": "folder", "uri": f"{stagehand.folder}/databases", **here},
        {"label": "claim_folder", "type": "folder", "uri": "cohort", **there},
    ]
    return node.start()


@pytest.mark.contract("§11 csv, parquet and excel")
@pytest.mark.parametrize("place", ["host", "claim"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_algorithm_reads_a_file(researcher: Researcher, images: dict[str, Image], place: str, kind: str) -> None:
    task = researcher.send(images["average"].ref, "partial_average", column="age", databases=[f"{place}_{kind}"])
    assert task.wait().result() == {"sum": sum(AGES), "count": len(AGES)}


@pytest.mark.contract("§11 folder")
@pytest.mark.parametrize("place", ["host", "claim"])
def test_an_algorithm_sees_a_folder_and_its_files(researcher: Researcher, images: dict[str, Image], place: str) -> None:
    label = f"{place}_folder"
    found = researcher.send(images["behave"].ref, "files", f"/mnt/{label}", databases=[label]).wait().result()
    assert {each["path"] for each in found} == {f"/mnt/{label}/{name}" for name in KINDS.values()}


@pytest.mark.contract("§9 databases asked for")
def test_an_algorithm_sees_only_the_databases_it_asked_for(researcher: Researcher, images: dict[str, Image]) -> None:
    found = researcher.send(images["behave"].ref, "files", databases=["host_csv"]).wait().result()
    top = {each["path"] for each in found if each["path"].count("/") == 2}
    assert top == {"/mnt/data", "/mnt/tmp", "/mnt/host_csv.csv"}


@pytest.mark.contract("§11 mounted read-only")
def test_no_database_can_be_written_and_files_stay_as_they_were(
    researcher: Researcher, images: dict[str, Image], stagehand: Stagehand, paths: dict[str, str]
) -> None:
    before = {path: stagehand.facts(path) for path in paths.values()}
    assert {(each["uid"], each["gid"]) for each in before.values()} == {(1234, 5678)}
    labels = [f"host_{kind}" for kind in KINDS] + [f"claim_{kind}" for kind in KINDS] + ["host_folder", "claim_folder"]
    targets = [
        f"/mnt/{place}_{kind}.{name.rpartition('.')[2]}" for place in ("host", "claim") for kind, name in KINDS.items()
    ]
    targets += [f"/mnt/{place}_folder/{name}" for place in ("host", "claim") for name in ("new", *KINDS.values())]
    controls = ["/tmp/new", "/mnt/tmp/new"]
    task = researcher.send(images["behave"].ref, "write", targets + controls, databases=labels)
    outcomes = task.wait().result()
    assert {path: outcomes[path] for path in controls} == dict.fromkeys(controls, "written")
    assert {path: outcomes[path] for path in targets} == dict.fromkeys(targets, "EROFS")
    assert {path: stagehand.facts(path) for path in paths.values()} == before


@pytest.mark.contract("§9 an unknown label")
def test_a_database_that_nobody_configured_is_reported_by_its_name(
    researcher: Researcher, images: dict[str, Image]
) -> None:
    run = researcher.send(images["average"].ref, "partial_average", column="age", databases=["nowhere"]).wait().run()
    assert run["status"] not in {"completed", "pending", "active"}
    assert "nowhere" in run["log"]


def _content(stagehand: Stagehand, path: str) -> bytes:
    inside = HOST_MOUNT + path.removeprefix("/tmp")
    text = stagehand.python(
        f"import base64, json; print(json.dumps(base64.b64encode(open({inside!r}, 'rb').read()).decode()))"
    )
    return base64.b64decode(text)
