"""Which profile a run gets, and which settings of profiles are refused; test_profiles_jobs.py has their Jobs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from launcher.config import ConfigError, NodeConfig
from launcher.profiles import Choice, choose, facts
from launcher.runs import RequestedDatabase, Run
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
        ({"affinity": []}, "a.affinity"),
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
