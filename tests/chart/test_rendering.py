"""Every values file renders, alike in both helms, to what Kubernetes and the launcher accept."""

import functools
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils

from launcher.config import NodeConfig
from tests.chart.rendering import CHART, MINIMAL, case, merged, named, pods, render, render_text

OLDEST, NEWEST = "1.30", "1.36"
OF_OTHERS = {"monitoring.coreos.com/v1"}  # test_monitoring.py knows them


@pytest.fixture(autouse=True, scope="module")
def _schemas_read_once():
    patch = pytest.MonkeyPatch()
    patch.setattr(utils, "schema_contents", functools.cache(utils.schema_contents))
    yield
    patch.undo()


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_objects_are_what_kubernetes_knows(case_file: Path, helm: str, version: str):
    for found in render(case(case_file), helm):
        if found["apiVersion"] in OF_OTHERS:
            continue
        assert kubernetes_validate.validate(found, version, strict=True) == version


def test_both_helms_render_alike(case_file: Path):
    assert render_text(case(case_file), "helm3") == render_text(case(case_file), "helm")


def test_launcher_accepts_its_configuration(case_file: Path, helm: str, tmp_path: Path):
    values = case(case_file)
    objects = render(values, helm)
    (tmp_path / "node.yaml").write_text(named(objects, "ConfigMap", "v6-node-config")["data"]["node.yaml"])

    config = NodeConfig.load(tmp_path / "node.yaml")

    given = values["node"]
    assert config.node.server_url == given["server_url"]
    assert config.node.port == given.get("port", 443)
    labels = [one["label"] for one in given.get("databases", [])]
    assert [database.label for database in config.node.databases] == labels
    made = {one["metadata"]["name"] for one in objects if one["kind"] == "PersistentVolumeClaim"}
    for database in config.node.databases:
        place = config.kubernetes.place_of(database.label)
        if database.is_service:
            assert place.reach
        else:
            assert place.claim == database.claim if database.claim else place.claim in made


def test_every_setting_of_jobs_reaches_the_launcher(helm: str):
    file = CHART / "ci" / "everything-values.yaml"
    config = named(render(case(file), helm), "ConfigMap", "v6-node-config")["data"]["node.yaml"]
    expected = {
        key: value for key, value in case(file)["jobs"].items() if key not in {"templates", "lookUpClasses", "quota"}
    }
    assert yaml.safe_load(config)["kubernetes"]["jobs"] == expected


def test_every_setting_of_retention_reaches_the_launcher(helm: str):
    file = CHART / "ci" / "everything-values.yaml"
    config = named(render(case(file), helm), "ConfigMap", "v6-node-config")["data"]["node.yaml"]
    kubernetes = yaml.safe_load(config)["kubernetes"]
    assert kubernetes["retention"] == case(file)["retention"]
    assert kubernetes["taskVolume"]["minFreeBytes"] == case(file)["taskVolume"]["minFreeBytes"]


def test_what_is_to_be_kept_for_ever_is(helm: str):
    values = merged(MINIMAL, {"retention": {"strangerHours": None}})
    config = named(render(values, helm), "ConfigMap", "v6-node-config")["data"]["node.yaml"]
    assert yaml.safe_load(config)["kubernetes"]["retention"]["strangerHours"] is None


def test_text_is_tidy(case_file: Path):
    for line in render_text(case(case_file)).splitlines():
        assert line == line.rstrip()
        assert "<no value>" not in line


def test_names_are_the_documented_ones(helm: str):
    found = {(one["kind"], one["metadata"]["name"]) for one in render(MINIMAL, helm)}
    assert found == {
        ("StatefulSet", "v6-node-launcher"),
        ("Service", "v6-node-launcher"),
        ("ServiceAccount", "v6-node-launcher"),
        ("Role", "v6-node-launcher"),
        ("RoleBinding", "v6-node-launcher"),
        ("Deployment", "v6-node-proxy"),
        ("Service", "v6-node-proxy"),
        ("ServiceAccount", "v6-node-proxy"),
        ("ServiceAccount", "v6-node-algorithm"),
        ("ConfigMap", "v6-node-config"),
        ("PersistentVolumeClaim", "v6-node-tasks"),
        ("NetworkPolicy", "v6-node-default-deny"),
        ("NetworkPolicy", "v6-node-algorithm"),
        ("NetworkPolicy", "v6-node-proxy"),
        ("NetworkPolicy", "v6-node-launcher"),
        ("NetworkPolicy", "v6-node-test"),
        ("NetworkPolicy", "v6-node-uninstall"),
        ("Pod", "v6-node-test"),
        ("Pod", "v6-node-uninstall"),
    }


def test_nothing_belongs_to_the_cluster_but_what_was_asked_for(case_file: Path):
    values = case(case_file)
    found = [one for one in render(values) if one["metadata"].get("namespace") != "hospital"]
    on_host = [
        one for one in values["node"].get("databases", []) if one.get("uri", "")[:1] == "/" and "claim" not in one
    ]
    policies = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"] * 2
    asked = policies if values.get("admissionPolicy", {}).get("enabled") else []
    assert sorted(one["kind"] for one in found) == sorted([*["PersistentVolume"] * len(on_host), *asked])
    assert all(one["metadata"]["name"].startswith("v6-node-hospital-") for one in found)


@pytest.mark.parametrize("change", [{"uri": "/srv/b.csv"}, {"nodeName": "worker-2"}, {"type": "folder"}])
def test_a_changed_host_path_is_a_new_volume(change: dict[str, str]):
    def volume(database: dict[str, str]) -> str:
        values = merged(MINIMAL, {"node": {"databases": [database]}})
        return next(one for one in render(values) if one["kind"] == "PersistentVolume")["metadata"]["name"]

    database = {"label": "default", "type": "csv", "uri": "/srv/a.csv", "nodeName": "worker-1"}
    assert volume(database) != volume(database | change)


def _inline(key: str) -> dict:
    return {"existingSecret": "", "node": {"api_key": key}}


def _template(text: str) -> dict:
    return {"jobs": {"templates": {"job.yaml.j2": text}}}


@pytest.mark.parametrize(
    ("before", "after", "restarted"),
    [
        ({}, {"node": {"logging": {"level": "DEBUG"}}}, {"launcher", "proxy"}),
        ({}, {"jobs": {"maxLogBytes": 4096}}, {"launcher"}),
        (_template("a"), _template("b"), {"launcher"}),
        (
            _inline("11111111-2222-4333-8444-555555555555"),
            _inline("11111111-2222-4333-8444-555555555556"),
            {"launcher"},
        ),
        ({}, {"taskVolume": {"keep": False}}, set()),
    ],
    ids=["node", "jobs", "templates", "key", "volume"],
)
def test_a_change_restarts_whom_it_concerns(before: dict, after: dict, restarted: set[str]):
    old, new = pods(render(merged(MINIMAL, before))), pods(render(merged(MINIMAL, after)))
    assert {role for role in old if old[role] != new[role]} == restarted


def test_selectors_outlive_a_new_version():
    for found in render(MINIMAL):
        selector = found.get("spec", {}).get("selector", {})
        assert "app.kubernetes.io/version" not in str(selector)
        assert "helm.sh/chart" not in str(selector)
