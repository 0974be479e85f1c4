"""The Job of each protocol: where an algorithm finds what it was promised, and that the rules hold all the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from launcher.algorithmenv import PROXY_HOST, encode
from launcher.config import NodeConfig
from launcher.invariants import InvariantError, check
from launcher.jobcontext import HostAlias
from launcher.manifests import Manifests
from launcher.runs import RequestedDatabase
from launcher.session.poc import IDENTITY
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates
from tests.unit.example_context import SHIPPED
from tests.unit.test_algorithmenv import TREE
from tests.unit.test_taskfiles import RUN

ALIASES = (HostAlias("10.96.0.20", (PROXY_HOST,)),)
RESOURCES = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "2Gi"}}
POC_RUN = replace(
    RUN,
    arguments=("/app/input/csv/patients", "$(HOME) $$ {{ 7*7 }}", "- a: b"),
    output_directory="7/output",
    databases=(RequestedDatabase("patients"), RequestedDatabase("scans")),
)


def manifests(protocol: str, folder: Path, overrides: Path | None = None) -> Manifests:
    kubernetes = {**TREE["kubernetes"], "protocol": protocol, "jobs": {"resources": RESOURCES}}
    config = NodeConfig.model_validate({**TREE, "kubernetes": kubernetes})
    return Manifests(
        config,
        JobTemplates(SHIPPED, overrides),
        TaskFiles(folder, IDENTITY),
        IDENTITY,
        owner_uid="uid",
        selecting=lambda labels: set(),
    )


def rendered(run: Any, folder: Path, protocol: str = "poc", overrides: Path | None = None) -> dict[str, Any]:
    made = manifests(protocol, folder, overrides)
    return made.checked(made.context(run, ALIASES))


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    (found,) = manifest["spec"]["template"]["spec"]["containers"]
    return dict(found)


def mounts(manifest: dict[str, Any]) -> dict[str, tuple[str | None, bool]]:
    return {
        mount["mountPath"]: (mount.get("subPath"), mount.get("readOnly", False))
        for mount in container(manifest)["volumeMounts"]
    }


def test_a_run_of_the_proof_of_concept_finds_everything_where_it_was_promised(tmp_path: Path):
    found = mounts(rendered(POC_RUN, tmp_path))
    files = TaskFiles(tmp_path, IDENTITY)
    assert found == {
        "/tmp": (None, False),
        "/app/output": ("7/output", False),
        "/app/tmp": (files.tmp_sub_path(RUN), False),
        "/mnt/data/task-000000007": (f"{files.sub_path(RUN)}/data", False),
        "/app/input/csv/patients": (None, True),
        "/app/input/folder/scans": (None, True),
    }


def test_its_arguments_are_the_containers_in_their_order_and_nothing_in_them_is_replaced(tmp_path: Path):
    # Kubernetes makes $$ one $, and replaces $(NAME) only where no $ is in front.
    assert container(rendered(POC_RUN, tmp_path))["args"] == [
        "/app/input/csv/patients",
        "$$(HOME) $$$$ {{ 7*7 }}",
        "- a: b",
    ]
    assert "command" not in container(rendered(POC_RUN, tmp_path))


def test_without_arguments_the_image_decides(tmp_path: Path):
    assert "args" not in container(rendered(replace(POC_RUN, arguments=()), tmp_path))


def test_its_variables_name_the_same_places(tmp_path: Path):
    variables = {entry["name"]: entry.get("value") for entry in container(rendered(POC_RUN, tmp_path))["env"]}
    assert variables["PATIENTS_DATABASE_URI"] == encode("/app/input/csv/patients")
    assert variables["TEMPORARY_FOLDER"] == encode("/app/tmp")


@pytest.mark.parametrize("version", ["1.30", "1.36"])
def test_kubernetes_knows_every_field(tmp_path: Path, version: str):
    kubernetes_validate.validate(rendered(POC_RUN, tmp_path), version, strict=True)


def test_a_run_of_vantage6_has_neither_arguments_nor_a_directory_that_stays(tmp_path: Path):
    manifest = rendered(replace(RUN, databases=POC_RUN.databases), tmp_path, "v4")
    assert "args" not in container(manifest)
    assert {"/mnt/tmp", "/mnt/patients.csv", "/mnt/scans"} < mounts(manifest).keys()
    assert not [path for path in mounts(manifest) if path.startswith("/app")]


def test_an_administrators_base_is_the_base_of_this_one_too(tmp_path: Path):
    (tmp_path / "job.yaml.j2").write_text(
        '{% extends "shipped/job.yaml.j2" %}\n'
        "{% block scheduling %}\n      nodeSelector: {pool: research}\n{% endblock %}\n"
    )
    manifest = rendered(POC_RUN, tmp_path / "tasks", overrides=tmp_path)
    assert manifest["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "research"}
    assert "/app/output" in mounts(manifest)


@pytest.mark.parametrize("sub_path", ["8/output", "7", "7/output/..", "", None])
def test_another_runs_output_is_not_mounted(tmp_path: Path, sub_path: str | None):
    made = manifests("poc", tmp_path)
    context = made.context(POC_RUN, ALIASES)
    manifest = made.checked(context)
    (mount,) = [each for each in container(manifest)["volumeMounts"] if each["mountPath"] == "/app/output"]
    mount["subPath"] = sub_path
    if sub_path is None:
        del mount["subPath"]
    with pytest.raises(InvariantError):
        check(manifest, context, lambda labels: set())


def test_a_run_without_such_a_directory_mounts_none(tmp_path: Path):
    made = manifests("v4", tmp_path)
    context = made.context(RUN, ALIASES)
    manifest = made.checked(context)
    container(manifest)["volumeMounts"].append({"name": "task", "mountPath": "/app/output"})
    with pytest.raises(InvariantError):
        check(manifest, context, lambda labels: set())


def test_the_directory_that_stays_outlives_the_run(tmp_path: Path):
    files = TaskFiles(tmp_path, IDENTITY)
    files.prepare(POC_RUN, b"", "")
    (tmp_path / "7" / "output" / "avg.txt").write_text("41.5")
    files.remove(7)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == ["7/output/avg.txt"]
