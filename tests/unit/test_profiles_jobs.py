"""What the Job of a run with a profile has, that it tells which it was, and with which the launcher does not start."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import kubernetes_validate
import pytest

from launcher.approval import Approved
from launcher.audit import ANNOTATION
from launcher.invariants import InvariantError
from launcher.jobcontext import HostAlias
from launcher.jobmarks import CHECK, NOBODY, PROFILE
from launcher.launch import Launch
from launcher.manifests import Manifests
from launcher.profiles import composed
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates, TemplateError
from tests.unit.changed_job import nothing_selects
from tests.unit.example_context import SHIPPED
from tests.unit.test_profiles import RESOURCES, TRAIN, config

JOBS = {
    "nodeSelector": {"zone": "outer"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "priorityClassName": "low",
    "profiles": {
        "gpu": {
            "template": "gpu.yaml.j2",
            "gpu": {"resource": "nvidia.com/gpu", "count": 2},
            "runtimeClassName": "nvidia",
            "resources": {"limits": {"memory": "16Gi"}},
            "nodeSelector": {"gpu": "yes"},
            "tolerations": [{"key": "b", "operator": "Exists"}],
            "activeDeadlineSeconds": 60,
            "tmpSizeLimit": "8Gi",
            "env": {"THREADS": "8", "MORE": "x"},
        },
        "claim": {"template": "gpu.yaml.j2", "gpu": {"resourceClaimTemplateName": "one-gpu"}},
        "plain": {"priorityClassName": ""},
        "sandbox": {"template": "sandbox.yaml.j2", "runtimeClassName": "gvisor"},
        "big": {"template": "big-memory.yaml.j2", "resources": {"limits": {"memory": "256Gi"}}},
    },
    "profileRules": [{"profile": name, "users": [user]} for name, user in (("gpu", 7), ("big", 8), ("claim", 9))],
}  # fmt: skip


def test_a_profile_goes_before_jobs_or_is_added_to_it() -> None:
    jobs = config(JOBS).kubernetes.jobs
    gpu = composed(jobs, "gpu")
    assert gpu.resources == {
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"memory": "16Gi", "nvidia.com/gpu": 2},
    }
    assert gpu.node_selector == {"zone": "outer", "gpu": "yes"}
    assert [taint["key"] for taint in gpu.tolerations] == ["a", "b"]
    assert (gpu.active_deadline_seconds, gpu.tmp_size_limit, gpu.priority_class_name) == (60, "8Gi", "low")
    assert composed(jobs, "plain").priority_class_name == ""
    without = composed(jobs, "gpu", gpu=False)
    assert without.gpu is None
    assert "nvidia.com/gpu" not in without.resources["limits"]


APART = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}}
SPREAD = {
    "maxSkew": 1,
    "topologyKey": "zone",
    "whenUnsatisfiable": "ScheduleAnyway",
    "labelSelector": {"matchLabels": {}},
}


def test_affinity_and_spread_of_a_profile_go_before_those_of_jobs_as_a_whole() -> None:
    usual = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
    own = {"affinity": APART, "topologySpreadConstraints": [{**SPREAD, "maxSkew": 2}]}
    none: dict[str, Any] = {"affinity": {}, "topologySpreadConstraints": []}
    profiles = {"apart": own, "anywhere": none, "usual": {}}
    jobs = config({"affinity": usual, "topologySpreadConstraints": [SPREAD], "profiles": profiles}).kubernetes.jobs
    found = {name: composed(jobs, name) for name in ("", *profiles)}
    assert {name: each.affinity for name, each in found.items()} == {
        "": usual,
        "apart": APART,
        "anywhere": {},
        "usual": usual,
    }
    skews = {name: [each["maxSkew"] for each in one.topology_spread_constraints] for name, one in found.items()}
    assert skews == {"": [1], "apart": [2], "anywhere": [], "usual": [1]}


def test_who_keeps_apart_is_beside_the_task_volume_all_the_same(tmp_path: Path) -> None:
    made = manifests({"affinity": APART}, tmp_path)
    volume = made.config.kubernetes.taskVolume.model_copy(update={"oneMachine": True})
    made.config = made.config.model_copy(
        update={"kubernetes": made.config.kubernetes.model_copy(update={"taskVolume": volume})}
    )
    affinity = made.rendering(made.context(TRAIN, ())).manifest["spec"]["template"]["spec"]["affinity"]
    assert affinity == {**APART, "podAffinity": affinity["podAffinity"]}


def test_nothing_of_a_profile_stays_with_the_next_run() -> None:
    jobs = config(JOBS).kubernetes.jobs
    before = composed(jobs, "")
    composed(jobs, "gpu")
    assert composed(jobs, "") == before
    assert before.resources == RESOURCES


def manifests(jobs: dict[str, Any], folder: Path, overrides: Path | None = None) -> Manifests:
    templates = JobTemplates(SHIPPED, overrides)
    files = TaskFiles(folder, NOBODY)
    return Manifests(config(jobs), templates, files, NOBODY, owner_uid="uid", selecting=nothing_selects)


def launch(jobs: dict[str, Any], folder: Path) -> Launch:
    destinations = AsyncMock()
    destinations.open.return_value = destinations.own_aliases.return_value = (
        HostAlias("10.96.0.20", ("proxyserver",)),
    )
    return Launch(manifests(jobs, folder), destinations)


async def job_of(user: int | None, folder: Path) -> dict[str, Any]:
    manifest = await launch(JOBS, folder).manifest(replace(TRAIN, init_user_id=user), Approved(TRAIN.image, "none"))
    kubernetes_validate.validate(manifest, "1.36", strict=True)
    return manifest


async def test_the_job_has_what_the_profile_grants(tmp_path: Path) -> None:
    manifest = await job_of(7, tmp_path)
    pod = manifest["spec"]["template"]["spec"]
    algorithm = pod["containers"][0]
    assert (pod["runtimeClassName"], pod["activeDeadlineSeconds"]) == ("nvidia", 60)
    assert algorithm["resources"]["limits"]["nvidia.com/gpu"] == 2
    variables = {entry["name"]: entry.get("value") for entry in algorithm["env"]}
    assert (variables["THREADS"], variables["MORE"]) == ("HA!!!!!!", "PA!!!!!!"), "encoded like algorithm_env"
    assert variables["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
    [shm] = [volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == "shm"]
    assert shm == {"medium": "Memory", "sizeLimit": "8Gi"}


async def test_the_job_tells_its_profile_to_people_and_to_the_audit(tmp_path: Path) -> None:
    for where in (manifest := await job_of(7, tmp_path), manifest["spec"]["template"]):
        assert where["metadata"]["annotations"][PROFILE] == "gpu"
        assert json.loads(where["metadata"]["annotations"][ANNOTATION])["profile"] == "gpu"
    unmatched = (await job_of(None, tmp_path))["metadata"]["annotations"]
    assert PROFILE not in unmatched
    assert json.loads(unmatched[ANNOTATION])["profile"] is None


async def test_others_pay_nothing_for_it(tmp_path: Path) -> None:
    pod = (await job_of(None, tmp_path))["spec"]["template"]["spec"]
    assert "runtimeClassName" not in pod
    assert pod["tolerations"] == [{"key": "a", "operator": "Exists"}]
    assert pod["containers"][0]["resources"] == RESOURCES


async def test_a_claim_asks_for_what_its_template_says(tmp_path: Path) -> None:
    """Dynamic Resource Allocation: pod and container, and nothing is counted."""
    pod = (await job_of(9, tmp_path))["spec"]["template"]["spec"]
    algorithm = pod["containers"][0]
    assert pod["resourceClaims"] == [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]
    assert algorithm["resources"] == {**RESOURCES, "claims": [{"name": "gpu"}]}
    assert "NVIDIA_DRIVER_CAPABILITIES" in [entry["name"] for entry in algorithm["env"]]
    assert "resourceClaims" not in (await job_of(7, tmp_path))["spec"]["template"]["spec"]


def test_every_shipped_template_asks_for_the_claim(tmp_path: Path) -> None:
    for template in ("job.yaml.j2", "gpu.yaml.j2", "sandbox.yaml.j2", "big-memory.yaml.j2"):
        settings = {"gpu": {"resourceClaimTemplateName": "a"}, "template": template, "runtimeClassName": "gvisor"}
        made = manifests({"profiles": {"a": settings}}, tmp_path)
        made.rehearse()
        pod = made.rendering(made.context(TRAIN, (), "a")).manifest["spec"]["template"]["spec"]
        assert pod["resourceClaims"] and pod["containers"][0]["resources"]["claims"], template


async def test_what_big_memory_is_limited_to_is_set_aside_for_it(tmp_path: Path) -> None:
    pod = (await job_of(8, tmp_path))["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["requests"]["memory"] == "256Gi"


@pytest.mark.parametrize("default", ["gpu", "claim"])
async def test_the_node_s_own_checks_get_the_default_without_its_gpus(default: str, tmp_path: Path) -> None:
    made = launch({**JOBS, "defaultProfile": default}, tmp_path)
    manifest = await made.check_manifest("isolation-check-1", CHECK, "isolation")
    pod = manifest["spec"]["template"]["spec"]
    assert pod.get("runtimeClassName") == ("nvidia" if default == "gpu" else None)
    assert "nvidia.com/gpu" not in pod["containers"][0]["resources"]["limits"]
    assert "claims" not in pod["containers"][0]["resources"]
    assert "resourceClaims" not in pod
    assert manifest["metadata"]["annotations"][PROFILE] == default


@pytest.mark.parametrize(
    ("profile", "error", "says"),
    [
        (
            {"template": "gpus.yaml.j2"},
            TemplateError,
            r"template: no template is called 'gpus.yaml.j2'; there are big-",
        ),
        ({"template": "sandbox.yaml.j2"}, InvariantError, r': .*runtimeClassName: "" is not allowed'),
        ({"resources": {"limits": {"memory": "9Gi"}}}, InvariantError, r": .*limits.memory: .*jobs.caps"),
        ({"gpu": {"resource": "a.b/c", "count": 3}}, InvariantError, r': .*"a.b/c"\]: 3 .*jobs.caps .*allows 2'),
        ({"activeDeadlineSeconds": 3601}, InvariantError, r": .*activeDeadlineSeconds: 3601"),
        ({"priorityClassName": "system-node-critical"}, InvariantError, r": .*priorityClassName"),
        ({"resources": {"limits": {"memory": "much"}}}, InvariantError, r": .*limits.memory: "),
    ],
)
def test_the_launcher_does_not_start_with_a_profile_that_breaks_a_rule(
    profile: dict[str, Any], error: type[Exception], says: str, tmp_path: Path
) -> None:
    usual = {"caps": {"memory": "8Gi", "devices": 2, "activeDeadlineSeconds": 3600}, "activeDeadlineSeconds": 3600}
    manifests(usual, tmp_path).rehearse()
    with pytest.raises(error, match=rf"^jobs\.profiles\.a.?{says}"):
        manifests({**usual, "profiles": {"a": profile}}, tmp_path).rehearse()


def test_a_template_that_forgets_the_sandbox_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml.j2").write_text('{% extends "shipped/job.yaml.j2" %}\n{% block runtime %}{% endblock %}\n')
    profiles = {"a": {"template": "mine.yaml.j2", "runtimeClassName": "gvisor"}}
    with pytest.raises(InvariantError, match=r"jobs\.profiles\.a: .*runtimeClassName is missing"):
        manifests({"profiles": profiles}, tmp_path, tmp_path).rehearse()


def test_a_site_s_base_is_the_base_of_shipped_variants_too(tmp_path: Path) -> None:
    block = "{% block env %}\n{{ super() }}\n            - {name: SITE, value: a}\n{% endblock %}"
    (tmp_path / "job.yaml.j2").write_text('{% extends "shipped/job.yaml.j2" %}\n' + block)
    made = manifests(JOBS, tmp_path, tmp_path)
    for name in ("gpu", "sandbox", "big"):
        manifest = made.rendering(made.context(TRAIN, (), name)).manifest
        assert {"name": "SITE", "value": "a"} in manifest["spec"]["template"]["spec"]["containers"][0]["env"]
