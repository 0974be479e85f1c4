"""Which profile a run gets, what its Job has then, and that the launcher and the Job tell which it was."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import kubernetes_validate
import pytest

from launcher.approval import Approved
from launcher.audit import ANNOTATION
from launcher.config import ConfigError, NodeConfig
from launcher.invariants import InvariantError
from launcher.jobcontext import HostAlias
from launcher.jobmarks import CHECK, NOBODY, PROFILE
from launcher.launch import Launch
from launcher.manifests import Manifests
from launcher.profiles import Choice, choose, composed, facts
from launcher.runs import RequestedDatabase, Run
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates, TemplateError
from tests.unit.broken_rules import nothing_selects
from tests.unit.example_context import SHIPPED
from tests.unit.test_algorithmenv import TREE
from tests.unit.test_taskfiles import RUN

DIGEST = "sha256:" + "0" * 64
RESOURCES = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "2Gi"}}
TRAIN = replace(
    RUN,
    image="registry.example.org/train:1",
    task_name="train the model",
    init_organization_id=3,
    init_user_id=7,
    databases=(RequestedDatabase("scans"),),
)


def config(jobs: dict[str, Any], **node: Any) -> NodeConfig:
    kubernetes = {**TREE["kubernetes"], "jobs": {"resources": RESOURCES, **jobs}}
    return NodeConfig.model_validate({"node": {**TREE["node"], **node}, "kubernetes": kubernetes})


def chosen(
    rules: list[dict[str, Any]], run: Run = TRAIN, ref: str = TRAIN.image, default: str = "", **node: Any
) -> Choice:
    profiles = {"gpu": {"gpu": {"resource": "nvidia.com/gpu"}}, "big": {}, "usual": {}}
    made = config({"profiles": profiles, "profileRules": rules, "defaultProfile": default}, **node)
    return choose(made.kubernetes.jobs, facts(made, run, ref))


@pytest.mark.parametrize(
    ("condition", "other"),
    [
        ({"images": ["registry.example.org/train"]}, {"image": "registry.example.org/other:1"}),
        ({"images": ["registry.example.org/train:1"]}, {"image": "registry.example.org/train:2"}),
        ({"images": ["^registry[.]example[.]org/tr"]}, {"image": "registry.example.org/other:1"}),
        ({"organizations": [3]}, {"init_organization_id": 4}),
        ({"users": [6, 7]}, {"init_user_id": None}),
        ({"tasks": ["train the model"]}, {"task_name": "train the model now"}),
        ({"tasks": ["^train"]}, {"task_name": "retrain"}),
        ({"databases": ["patients", "scans"]}, {"databases": (RequestedDatabase("Registry"),)}),
    ],
)
def test_each_condition_holds_for_what_it_names_and_for_nothing_else(
    condition: dict[str, Any], other: dict[str, Any]
) -> None:
    assert chosen([{"profile": "big", **condition}]) == Choice("big", 0)
    assert chosen([{"profile": "big", **condition}], replace(TRAIN, **other)) == Choice("", None)


def test_a_digest_is_that_of_what_was_approved() -> None:
    rules = [{"profile": "big", "digests": [DIGEST]}]
    assert chosen(rules, ref=f"registry.example.org/train@{DIGEST}") == Choice("big", 0)
    assert chosen(rules, ref=f"registry.example.org/train@{DIGEST[:-1]}1") == Choice("", None)
    assert chosen(rules, ref="registry.example.org/train:1") == Choice("", None)
    assert chosen(rules, ref="no reference at all") == Choice("", None)


def test_a_gpu_is_asked_for_by_the_configuration_of_vantage6() -> None:
    rules = [{"profile": "gpu", "devices": ["gpu"]}]
    assert chosen(rules) == Choice("", None)
    assert chosen(rules, algorithm_device_requests={"gpu": True}) == Choice("gpu", 0)


def test_every_condition_has_to_hold_and_the_first_rule_decides() -> None:
    both = {"profile": "gpu", "users": [7], "databases": ["patients"]}
    assert chosen([both], default="usual") == Choice("usual", None)
    assert chosen([both, {"profile": "big", "users": [7]}, {"profile": "usual", "users": [7]}]) == Choice("big", 1)


RULE = {"profile": "a", "users": [1]}


@pytest.mark.parametrize(
    ("jobs", "says"),
    [
        (
            {"profileRules": [RULE]},
            'jobs.profileRules[0].profile "a" is no profile; jobs.profiles has none.',
        ),
        (
            {"profiles": {"b": {}, "a": {}}, "defaultProfile": "c"},
            'jobs.defaultProfile "c" is no profile; jobs.profiles has a, b.',
        ),
        (
            {"profiles": {"a": {}}, "profileRules": [RULE, {"profile": "a"}]},
            "jobs.profileRules[1] has no condition and so holds for every run; set jobs.defaultProfile instead.",
        ),
        (
            {"profiles": {"a": {}}, "profileRules": [{**RULE, "databases": ["scan"]}]},
            'jobs.profileRules[0].databases: "scan" is the label of no database; '
            "node.databases has patients, scans, Registry.",
        ),
        (
            {"profiles": {"a": {}}, "profileRules": [{**RULE, "devices": ["gpu"]}]},
            'jobs.profileRules[0].profile "a" grants no GPU to runs that ask for one; '
            "set jobs.profiles.a.gpu, or name another profile.",
        ),
    ],
)
def test_what_refers_to_something_missing_is_refused_by_name(jobs: dict[str, Any], says: str, tmp_path: Path) -> None:
    assert refusal(jobs, tmp_path) == says


def test_a_request_above_its_limit_is_refused_before_any_job_is_made(tmp_path: Path) -> None:
    usual = {"requests": {"cpu": 1}, "limits": {"cpu": "2", "memory": "1Gi"}}
    said = refusal({"resources": usual, "profiles": {"a": {"resources": {"requests": {"cpu": "2500m"}}}}}, tmp_path)
    assert said == (
        'jobs.profiles.a.resources.limits.cpu "2" is less than requests.cpu "2500m"; '
        "what a profile does not say is as jobs.resources says, so give both."
    )
    config({"resources": usual, "profiles": {"a": {"resources": {"requests": {"cpu": "2", "memory": "1024Mi"}}}}})


def test_a_gpu_that_no_rule_gives_is_refused(tmp_path: Path) -> None:
    said = refusal({}, tmp_path, algorithm_device_requests={"gpu": True})
    assert said.startswith(
        "node.algorithm_device_requests.gpu is true, but no rule of jobs.profileRules has devices: [gpu]"
    )


def test_the_proof_of_concept_has_one_template(tmp_path: Path) -> None:
    said = refusal({"profiles": {"a": {"template": "gpu.yaml.j2"}}}, tmp_path, protocol="poc")
    assert said.startswith('jobs.profiles.a.template "gpu.yaml.j2" can\'t be used with server.protocol "poc"')


@pytest.mark.parametrize(
    ("profile", "key"),
    [
        ({"gpu": {"resource": "nvidia.com/gpu", "count": 0}}, "a.gpu.count"),
        ({"gpu": {"resource": "cpu"}}, "a.gpu.resource"),
        ({"gpu": {}}, "a.gpu"),
        ({"gpu": {"resource": "nvidia.com/gpu", "resourceClaimTemplateName": "a"}}, "a.gpu"),
        ({"gpu": {"resourceClaimTemplateName": "a", "count": 2}}, "a.gpu"),
        ({"gpu": {"resourceClaimTemplateName": "A b"}}, "a.gpu.resourceClaimTemplateName"),
        ({"nodeSelectors": {}}, "a.nodeSelectors"),
        ({"activeDeadlineSeconds": 0}, "a.activeDeadlineSeconds"),
        ({"env": {"PKG_NAME": "x"}}, "a.env"),
    ],
)
def test_a_setting_that_can_t_be_is_refused_by_its_key(profile: dict[str, Any], key: str, tmp_path: Path) -> None:
    assert f"jobs.profiles.{key}" in refusal({"profiles": {"a": profile}}, tmp_path)


@pytest.mark.parametrize("key", ["images", "digests", "organizations", "users", "tasks", "databases", "devices"])
def test_an_empty_condition_is_refused(key: str, tmp_path: Path) -> None:
    assert f"jobs.profileRules.0.{key}" in refusal(
        {"profiles": {"a": {}}, "profileRules": [{"profile": "a", key: []}]}, tmp_path
    )


def refusal(jobs: dict[str, Any], folder: Path, protocol: str = "v4", **node: Any) -> str:
    file = folder / "node.yaml"
    kubernetes = {**TREE["kubernetes"], "protocol": protocol, "jobs": jobs}
    file.write_text(json.dumps({"node": {**TREE["node"], **node}, "kubernetes": kubernetes}))
    with pytest.raises(ConfigError) as caught:
        NodeConfig.load(file)
    return str(caught.value)


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
