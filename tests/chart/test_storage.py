"""Volumes: one rule puts launcher and algorithms together, and what the page shows is what Kubernetes takes."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from launcher.algorithmenv import PROXY_HOST
from launcher.config import NodeConfig
from launcher.jobcontext import HostAlias
from launcher.jobmarks import CHECK, NOBODY
from launcher.manifests import Manifests
from launcher.node import SHIPPED_TEMPLATES
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates
from tests.chart.rendering import CHART, MINIMAL, case, merged, named, pods, render
from tests.unit.changed_job import nothing_selects
from tests.unit.doc_overrides import DOCS, shown_below

TOGETHER = "requiredDuringSchedulingIgnoredDuringExecution"
MANY = merged(MINIMAL, {"taskVolume": {"accessModes": ["ReadWriteMany"]}})


def job(values: dict[str, Any], helm: str, folder: Path) -> dict[str, Any]:
    """A pod of an algorithm of a node with these values; its Job keeps the rules."""
    text = named(render(values, helm), "ConfigMap", "v6-node-config")["data"]["node.yaml"]
    (folder / "node.yaml").write_text(text)
    templates, files = JobTemplates(SHIPPED_TEMPLATES, None), TaskFiles(folder, NOBODY)
    config = NodeConfig.load(folder / "node.yaml")
    made = Manifests(config, templates, files, NOBODY, owner_uid="uid", selecting=nothing_selects)
    manifest = made.checked(made.context(CHECK, (HostAlias("192.0.2.1", (PROXY_HOST,)),)))
    kubernetes_validate.validate(manifest, "1.36", strict=True)
    pod: dict[str, Any] = manifest["spec"]["template"]
    return pod


def test_launcher_and_algorithms_look_for_each_other(helm: str, tmp_path: Path) -> None:
    algorithm, launcher = job(MINIMAL, helm, tmp_path), pods(render(MINIMAL, helm))["launcher"]
    assert algorithm["spec"]["affinity"] == launcher["spec"]["affinity"]
    [term] = algorithm["spec"]["affinity"]["podAffinity"][TOGETHER]
    [expression] = term["labelSelector"]["matchExpressions"]
    for pod in (algorithm, launcher):  # or the first of them would find no place
        assert pod["metadata"]["labels"][expression["key"]] in expression["values"]


def test_nobody_else_is_bound_to_that_machine(helm: str) -> None:
    everybody = {role: pod["spec"] for role, pod in pods(render(MINIMAL, helm)).items()}
    assert [role for role, spec in everybody.items() if "affinity" in spec] == ["launcher"]
    assert [role for role, spec in everybody.items() if "persistentVolumeClaim" in str(spec)] == ["launcher"]


def test_several_machines_bind_nobody(helm: str, tmp_path: Path) -> None:
    assert "affinity" not in job(MANY, helm, tmp_path)["spec"]
    assert "affinity" not in pods(render(MANY, helm))["launcher"]["spec"]


def test_databases_on_two_machines_are_fine_where_algorithms_may_be_on_both(helm: str) -> None:
    databases = [{"label": name, "type": "csv", "uri": f"/srv/{name}.csv", "nodeName": name} for name in ("a", "b")]
    assert render(merged(MANY, {"node": {"databases": databases}}), helm)


@pytest.mark.parametrize("version", ["1.30", "1.36"])
def test_the_page_shows_volumes_on_nfs_that_kubernetes_takes(version: str) -> None:
    volume, claim = shown_below("NFS", DOCS / "storage.md")
    assert (volume["kind"], claim["kind"]) == ("PersistentVolume", "PersistentVolumeClaim")
    for each in (volume, claim):
        kubernetes_validate.validate(each, version, strict=True)
    assert volume["spec"]["claimRef"] == {key: claim["metadata"][key] for key in ("namespace", "name")}
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"]


def test_nfs_from_a_class_is_asked_for(helm: str) -> None:
    values = case(CHART / "ci" / "several-machines-values.yaml")
    claim = named(render(values, helm), "PersistentVolumeClaim", "v6-node-tasks")
    assert claim["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "nfs",
        "resources": {"requests": {"storage": "100Gi"}},
    }
