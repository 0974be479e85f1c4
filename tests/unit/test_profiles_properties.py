"""Whatever an administrator writes about profiles: the Job keeps the rules, or a refusal names the key."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from launcher.config import NodeConfig
from launcher.invariants import InvariantError, violations
from launcher.jobcontext import HostAlias
from launcher.jobmarks import NOBODY
from launcher.manifests import Manifests
from launcher.profiles import choose, facts
from launcher.runs import RequestedDatabase
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates, TemplateError
from tests.unit.changed_job import nothing_selects
from tests.unit.example_context import SHIPPED
from tests.unit.test_algorithmenv import TREE
from tests.unit.test_taskfiles import RUN

CHART = Path(__file__).parents[2] / "charts" / "v6-node"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
JOBS_SCHEMA = jsonschema.Draft7Validator({**SCHEMA["properties"]["jobs"], "definitions": SCHEMA["definitions"]})
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())["jobs"]
NAMES = ["gpu", "sandbox", "big-memory"]
TEMPLATES = ["gpu.yaml.j2", "sandbox.yaml.j2", "big-memory.yaml.j2", "job.yaml.j2", "x.yaml.j2"]
DEVICES = ["nvidia.com/gpu", "amd.com/gpu", "cpu"]
SHIPPED_TEMPLATES = JobTemplates(SHIPPED, None)
VARIABLES = ["A", "HOME", "INPUT_FILE", "KUBERNETES_SERVICE_HOST", "PKG_NAME", "a-b"]

anything = st.one_of(st.none(), st.booleans(), st.integers(-2, 2**40), st.text(max_size=5), st.just([]), st.just({}))


def or_anything(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Nearly always what is meant."""
    return st.integers(0, 40).flatmap(lambda roll: usual if roll else anything)


def some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


def one(*values: Any) -> st.SearchStrategy[Any]:
    return or_anything(st.sampled_from(values))


def few(*values: Any) -> st.SearchStrategy[Any]:
    return or_anything(st.lists(one(*values), min_size=1, max_size=2))


quantities = one("1", 2, "500m", "64Mi", "3Gi", "300Gi", "0", "-1", "1e3", "much")
amounts = st.dictionaries(
    st.sampled_from(["cpu", "memory", "ephemeral-storage", "nvidia.com/gpu", "hugepages-2Mi"]), quantities, max_size=3
)
texts = st.dictionaries(st.sampled_from(["a", "example.org/b", "x y", ""]), one("", "b", "c: d"), max_size=2)
profiles = some(
    template=one(*TEMPLATES),
    runtimeClassName=one("nvidia", "gvisor", "", "Bad Name"),
    gpu=or_anything(
        some(resource=one(*DEVICES), count=or_anything(st.integers(-1, 9)))
        | some(resourceClaimTemplateName=one("a", "A"))
    ),
    resources=or_anything(some(requests=or_anything(amounts), limits=or_anything(amounts))),
    tmpSizeLimit=quantities,
    nodeSelector=or_anything(texts),
    tolerations=or_anything(st.lists(or_anything(some(key=one("a"), operator=one("Exists"))), max_size=2)),
    affinity=or_anything(some(podAntiAffinity=texts, nodeAffinity=texts)),
    topologySpreadConstraints=or_anything(
        st.lists(or_anything(some(topologyKey=one("a"), maxSkew=one(1))), max_size=2)
    ),
    priorityClassName=one("", "low", "system-node-critical"),
    activeDeadlineSeconds=one(1, 3600, 10**7, 0),
    env=or_anything(st.dictionaries(st.sampled_from(VARIABLES), or_anything(st.text(max_size=5)), max_size=2)),
)


def rules(names: list[str]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {"profile": one(*names)},
        optional={
            "images": few("image", "^im", "*", "(", "Bad//Name", ".*"),
            "digests": few("sha256:" + "0" * 64),
            "organizations": few(1, 2),
            "users": few(1, 2),
            "tasks": few("a", "^.*$", "["),
            "databases": few("patients", "scans", "other"),
            "devices": few("gpu"),
        },
    )


def sites(made: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    names = sorted(made) or ["gpu"]
    return st.fixed_dictionaries(
        {"profiles": st.just(made)},
        optional={
            "profileRules": or_anything(st.lists(or_anything(rules([*names, *names, "other"])), max_size=2)),
            "defaultProfile": one("", *names),
            "caps": some(memory=one(None, "4Gi", "1Mi"), devices=one(None, 2), activeDeadlineSeconds=one(None, 3600)),
        },
    )


written = st.dictionaries(st.sampled_from(NAMES), or_anything(profiles), max_size=2).flatmap(sites)
runs = st.builds(
    lambda image, user, databases: replace(
        RUN, image=image, init_user_id=user, databases=tuple(RequestedDatabase(label) for label in databases)
    ),
    st.sampled_from(["image", "other/image:1", "im", "not a reference!"]),
    st.sampled_from([None, 1, 2]),
    st.lists(st.sampled_from(["patients", "scans"]), max_size=2, unique=True),
)


def outcome(jobs: dict[str, Any], gpu: bool) -> tuple[str, Manifests | None, NodeConfig | None]:
    """What the gates say one after the other, the chart's schema first; nothing if they let it through."""
    if fault := jsonschema.exceptions.best_match(JOBS_SCHEMA.iter_errors(jobs)):
        return ".".join(["jobs", *map(str, fault.absolute_path)]), None, None
    node = {**TREE["node"], "algorithm_device_requests": {"gpu": gpu}}
    kept = {key: value for key, value in jobs.items() if key not in {"templates", "lookUpClasses", "quota"}}
    try:
        config = NodeConfig.model_validate({"node": node, "kubernetes": {**TREE["kubernetes"], "jobs": kept}})
    except ValidationError as error:
        return " ".join(f"{'.'.join(map(str, fault['loc']))} {fault['msg']}" for fault in error.errors()), None, None
    made = Manifests(
        config,
        SHIPPED_TEMPLATES,
        TaskFiles(Path("/tasks"), NOBODY),
        NOBODY,
        owner_uid="uid",
        selecting=nothing_selects,
    )
    try:
        made.rehearse()
    except (TemplateError, InvariantError) as error:
        return str(error), None, None
    return "", made, config


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(written, st.booleans(), runs)
def test_the_job_keeps_the_rules_or_the_refusal_names_the_key(jobs: dict[str, Any], gpu: bool, run: Any) -> None:
    said, made, config = outcome({**DEFAULTS, **jobs}, gpu)
    if made is None or config is None:
        assert "jobs" in said or "algorithm_device_requests" in said
        assert "\n" not in said
        return
    choice = choose(config.kubernetes.jobs, facts(config, run, run.image))
    context = made.context(run, (HostAlias("10.96.0.20", ("proxyserver",)),), choice.profile)
    manifest = made.rendering(context).manifest
    assert violations(manifest, context, nothing_selects) == []
    pod = manifest["spec"]["template"]["spec"]
    mine = config.kubernetes.jobs.profiles.get(choice.profile)
    assert pod.get("runtimeClassName", "") == (mine.runtimeClassName if mine else "")
    granted = mine.gpu.count if mine and mine.gpu and mine.gpu.resource else 0
    template = mine.gpu.resourceClaimTemplateName if mine and mine.gpu else None
    assert [claim["resourceClaimTemplateName"] for claim in pod.get("resourceClaims", [])] == (
        [template] if template else []
    )
    limits = pod["containers"][0]["resources"]["limits"]
    devices = {name: amount for name, amount in limits.items() if "/" in name}
    allowed = {**DEFAULTS["resources"]["limits"], **(mine.resources.get("limits", {}) if mine else {})}
    assert all(name in allowed or amount <= granted for name, amount in devices.items())
    cap = config.kubernetes.jobs.caps.devices
    assert cap is None or all(int(amount) <= cap for amount in devices.values())


def test_a_good_part_of_what_is_written_gets_through() -> None:
    """The property above is about Jobs, not only about refusals."""
    through = 0

    @settings(deadline=None, max_examples=100, database=None, suppress_health_check=list(HealthCheck))
    @given(written)
    def count(jobs: dict[str, Any]) -> None:
        nonlocal through
        assume(jobs["profiles"])
        through += outcome({**DEFAULTS, **jobs}, gpu=False)[0] == ""

    count()
    assert through >= 10
