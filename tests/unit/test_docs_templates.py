"""What the pages about job templates show renders, keeps every rule, and does what they say."""

import copy
import dataclasses
import re
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ci import templatereference
from launcher.config import NodeConfig
from launcher.invariants import violations
from launcher.jobcontext import Context, HostAlias, Profile
from launcher.jobmarks import NOBODY
from launcher.manifests import Manifests
from launcher.profiles import choose, facts
from launcher.runs import RequestedDatabase
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates
from tests.unit.changed_job import nothing_selects
from tests.unit.doc_overrides import APART, GPUS, INIT, PAGE, POOL, PROFILES, SIDECAR, shown_below, values_below
from tests.unit.example_context import SHIPPED
from tests.unit.test_algorithmenv import TREE
from tests.unit.test_profiles import TRAIN

OF_RUNS = {"key": "v6-node.vantage6.ai/run-id", "operator": "Exists"}
RESOURCES = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "2Gi"}}


def site(jobs: dict[str, Any], folder: Path, **more: Any) -> tuple[NodeConfig, Manifests]:
    """A node with these values; its launcher would start."""
    settings = copy.deepcopy(jobs)
    for name, text in settings.pop("templates", {}).items():
        (folder / name).write_text(text)
    genomes = {"label": "genomes", "type": "folder", "uri": "g"}
    node = {**TREE["node"], "databases": [*TREE["node"]["databases"], genomes], **more}
    places = [*TREE["kubernetes"]["databases"], {"label": "genomes", "claim": "g"}]
    kubernetes = {**TREE["kubernetes"], "databases": places, "jobs": {"resources": RESOURCES, **settings}}
    config = NodeConfig.model_validate({"node": node, "kubernetes": kubernetes})
    files = TaskFiles(folder, NOBODY)
    templates = JobTemplates(SHIPPED, folder)
    made = Manifests(config, templates, files, NOBODY, owner_uid="uid", selecting=nothing_selects)
    made.rehearse()
    return config, made


def job(jobs: dict[str, Any], folder: Path, run: Any = TRAIN, **node: Any) -> tuple[str, dict[str, Any]]:
    """The profile of a run, and its pod, which keeps every rule."""
    config, made = site(jobs, folder, **node)
    choice = choose(config.kubernetes.jobs, facts(config, run, run.image))
    context = made.context(run, (HostAlias("10.96.0.20", ("proxyserver",)),), choice.profile)
    manifest = made.rendering(context).manifest
    assert violations(manifest, context, nothing_selects) == []
    pod = manifest["spec"]["template"]["spec"]
    for version in ("1.34" if "resourceClaims" in pod else "1.30", "1.36"):
        kubernetes_validate.validate(manifest, version, strict=True)
    return choice.profile, pod


def test_the_sidecar_sees_its_one_folder_and_ends_with_the_algorithm(tmp_path: Path) -> None:
    _, pod = job(values_below(SIDECAR)["jobs"], tmp_path)
    [sidecar], [algorithm] = pod["initContainers"], pod["containers"]
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["volumeMounts"] == [{"name": "log", "mountPath": "/log"}]
    assert {"name": "log", "mountPath": "/log"} in algorithm["volumeMounts"]
    assert {"name": "LOG_FILE", "value": "/log/algorithm.log"} in algorithm["env"]


def test_the_pool_is_for_those_whom_the_rule_names(tmp_path: Path) -> None:
    jobs = values_below(POOL)["jobs"]
    profile, pod = job(jobs, tmp_path, replace(TRAIN, task_name="large matrix"))
    assert profile == "large"
    assert pod["nodeSelector"] == {"example.org/pool": "large"}
    assert [taint["key"] for taint in pod["tolerations"]] == ["example.org/pool"]
    profile, pod = job(jobs, tmp_path)
    assert (profile, pod["nodeSelector"], pod["tolerations"]) == ("", {}, [])


def test_large_tasks_are_apart_and_all_are_spread(tmp_path: Path) -> None:
    jobs = values_below(APART)["jobs"]
    profile, pod = job(jobs, tmp_path, replace(TRAIN, task_name="large matrix"))
    [spread] = pod["topologySpreadConstraints"]
    [apart] = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert profile == "alone"
    assert spread["labelSelector"] == apart["labelSelector"] == {"matchExpressions": [OF_RUNS]}
    profile, pod = job(jobs, tmp_path)
    assert (profile, pod["topologySpreadConstraints"], "affinity" in pod) == ("", [spread], False)


def test_the_init_container_comes_first_and_the_algorithm_can_t_write_there(tmp_path: Path) -> None:
    _, pod = job(values_below(INIT)["jobs"], tmp_path)
    [first], [algorithm] = pod["initContainers"], pod["containers"]
    assert "restartPolicy" not in first
    mount = {"name": "reference", "mountPath": "/mnt/reference", "readOnly": True}
    assert mount in algorithm["volumeMounts"]


@pytest.mark.parametrize(
    ("changes", "profile"),
    [
        ({"image": "registry.example.org/ours/a:1", "init_user_id": 4}, "plain"),
        ({"image": "registry.example.org/train/a:1", "init_user_id": 4}, "gpu"),
        ({"image": "registry.example.org/train/a:1", "init_user_id": 5}, "sandbox"),
        ({"databases": (RequestedDatabase("genomes"),)}, "big-memory"),
        ({"databases": ()}, "sandbox"),
    ],
)
def test_the_page_s_profiles_are_chosen_as_it_says(changes: dict[str, Any], profile: str, tmp_path: Path) -> None:
    run = replace(TRAIN, **changes)
    found, pod = job(values_below(PROFILES)["jobs"], tmp_path, run)
    assert found == profile
    assert pod.get("runtimeClassName", "") == {"gpu": "nvidia", "sandbox": "gvisor"}.get(profile, "")


@pytest.mark.parametrize(
    ("heading", "changes", "asked"),
    [
        ("A device plugin", {"image": "registry.example.org/train/a:1"}, {"nvidia.com/gpu": 1}),
        ("A device plugin", {"image": "registry.example.org/other:1"}, {}),
        ("Sharing: MIG and time-slicing", {"image": "registry.example.org/train/a:1"}, {"nvidia.com/mig-1g.10gb": 1}),
        ("Sharing: MIG and time-slicing", {"init_user_id": 4}, {"nvidia.com/gpu.shared": 1}),
        ("Claims", {"task_name": "large matrix"}, {"claim": "large-gpu"}),
    ],
)
def test_the_page_of_gpus_gives_what_it_says(
    heading: str, changes: dict[str, Any], asked: dict[str, Any], tmp_path: Path
) -> None:
    values = values_below(heading, GPUS)
    run = replace(TRAIN, init_user_id=9)
    _, pod = job(values["jobs"], tmp_path, replace(run, **changes), **values.get("node", {}))
    limits = pod["containers"][0]["resources"]["limits"]
    found = {name: count for name, count in limits.items() if "/" in name}
    for claim in pod.get("resourceClaims", []):
        found["claim"] = claim["resourceClaimTemplateName"]
    assert found == asked


def test_the_page_s_claim_is_the_one_that_its_profile_names() -> None:
    template, values = shown_below("Claims", GPUS)
    kubernetes_validate.validate(template, "1.36", strict=True)
    assert values["jobs"]["profiles"]["large"]["gpu"] == {"resourceClaimTemplateName": template["metadata"]["name"]}


def test_the_heads_of_the_shipped_variants_show_values_that_work(tmp_path: Path) -> None:
    for name in ("gpu", "sandbox", "big-memory"):
        text = (SHIPPED / f"{name}.yaml.j2").read_text()
        head = re.match(r"\{#.*?#\}", text, re.DOTALL)
        assert head and "What may be changed here: " in head[0]
        assert len(text.splitlines()) < 50, "short"
        found = re.search(r"\n\n((?: {6}.*\n)+)", head[0])
        assert found
        site(yaml.safe_load(textwrap.dedent(found[1]))["jobs"], tmp_path)


def test_the_page_of_variables_is_current() -> None:
    """Written by `python -m ci.templatereference`."""
    assert templatereference.PAGE.read_text() == templatereference.page()


def test_the_page_of_variables_has_every_field_of_the_context() -> None:
    page = templatereference.PAGE.read_text()
    for field in dataclasses.fields(Context):
        assert f"### `{field.name}`" in page
    for field in dataclasses.fields(Profile):
        assert f"| `profile.{field.name}` | " in page
    assert "| `isolation.blank_env` | " in page


@pytest.mark.parametrize("page", [PAGE, GPUS], ids=lambda page: page.name)
def test_links_of_the_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target
