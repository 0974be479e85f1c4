"""What the administrator's values change about the rules: caps, companions, waivers, and policies in the namespace."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from launcher.config import ConfigError, NodeConfig
from launcher.invariants import violations
from launcher.jobcontext import Context
from launcher.networkpolicies import selecting
from launcher.rules import NEVER_WAIVED, RULES, WAIVABLE
from tests.unit.broken_rules import (
    CAP_CASES,
    CASES,
    COMPANION,
    COMPANION_CASES,
    POD,
    capped,
    changed,
    nothing_selects,
    rendered,
)
from tests.unit.example_context import context, profile
from tests.unit.test_config import changed as configuration
from tests.unit.test_config import load

ALLOWED = context(profile=profile(extra_images=(COMPANION["image"],)))


def sentences(manifest: dict[str, Any], facts: Context) -> list[str]:
    return [violation.sentence for violation in violations(manifest, facts, nothing_selects)]


def companion(**parts: Any) -> dict[str, Any]:
    return {**copy.deepcopy(COMPANION), **parts}


@pytest.mark.parametrize(("caps", "path", "value", "says"), CAP_CASES)
def test_a_cap(caps: dict[str, Any], path: str, value: object, says: str) -> None:
    facts = capped(caps)
    assert sentences(rendered(facts), facts) == [], "exactly the cap is not above it"
    [sentence] = sentences(changed(path, value, facts), facts)
    for part in says.split(" .*"):
        assert part in sentence


def test_a_deadline_has_a_cap() -> None:
    facts = context(profile=profile(max_deadline_seconds=2592000))
    assert sentences(rendered(facts), facts) == []
    [sentence] = sentences(changed(f"{POD}.activeDeadlineSeconds", 2592001), facts)
    assert "activeDeadlineSeconds in the chart's values is 2592000" in sentence


@pytest.mark.parametrize("place", ["containers", "initContainers"])
def test_a_companion_that_is_listed_may_run(place: str) -> None:
    path = f"{POD}.{place}.+" if place == "containers" else f"{POD}.{place}"
    value: Any = companion() if place == "containers" else [companion(restartPolicy="Always"), companion(name="b")]
    assert sentences(changed(path, value), ALLOWED) == []


@pytest.mark.parametrize(("parts", "says"), COMPANION_CASES)
def test_a_companion_has_nothing_of_the_run(parts: dict[str, Any], says: str) -> None:
    found = sentences(changed(f"{POD}.containers.+", companion(**parts)), ALLOWED)
    assert any(says in sentence for sentence in found), found


def test_devices_of_the_algorithm_are_not_those_of_a_companion() -> None:
    resources = {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"memory": "1Gi", "nvidia.com/gpu": 1}}
    facts = context(profile=profile(resources=resources, extra_images=(COMPANION["image"],)))
    both = changed(f"{POD}.containers.+", companion(resources=resources), facts)
    [sentence] = sentences(both, facts)
    assert sentence.startswith("spec.template.spec.containers[1].resources.limits")


def policy(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"podSelector": {"matchLabels": labels}}}


def test_a_label_that_a_policy_selects_is_refused() -> None:
    policies = [policy("v6-node-algorithm", **{"v6-node.vantage6.ai/role": "algorithm"}), policy("open", team="a")]

    def which(labels: Mapping[str, str]) -> set[str]:
        return selecting(policies, labels)

    path = "spec.template.metadata.labels"
    assert violations(changed(f"{path}.team", "b"), context(), which) == []
    assert violations(changed(f"{path}.colour", "a"), context(), which) == []
    [violation] = violations(changed(f"{path}.team", "a"), context(), which)
    assert (violation.rule, violation.path) == ("network", f"{path}.team")
    assert "the NetworkPolicy open selects pods by it" in violation.sentence


def test_labels_that_a_policy_selects_together_are_refused() -> None:
    def which(labels: Mapping[str, str]) -> set[str]:
        return selecting([policy("open", one="a", two="b")], labels)

    manifest = changed("spec.template.metadata.labels.one", "a")
    assert violations(manifest, context(), which) == []
    manifest["spec"]["template"]["metadata"]["labels"]["two"] = "b"
    [violation] = violations(manifest, context(), which)
    assert "NetworkPolicy open" in violation.sentence


@pytest.mark.parametrize(("path", "value", "says"), CASES)
def test_a_waiver_lets_through_its_own_rule_alone(path: str, value: object, says: str) -> None:
    del says
    manifest = changed(path, value)
    [violation] = violations(manifest, context(), nothing_selects)
    assert violation.rule in RULES
    for name in WAIVABLE:
        facts = context(profile=profile(waived=frozenset({name})))
        assert (violations(manifest, facts, nothing_selects) == []) is (name == violation.rule)


def test_every_rule_has_a_case() -> None:
    broken = {violations(changed(path, value), context(), nothing_selects)[0].rule for path, value, _ in CASES}
    assert broken == set(RULES)


@pytest.mark.parametrize("name", [*sorted(NEVER_WAIVED), "everything", ""])
def test_some_rules_cannot_be_waived(tmp_path: Any, name: str) -> None:
    with pytest.raises(ConfigError, match=r"kubernetes.jobs.waive.0: .* can't be used: .* choose from api-access, "):
        load(tmp_path, configuration("kubernetes.jobs", {"waive": [name]}))
    assert isinstance(load(tmp_path, configuration("kubernetes.jobs", {"waive": list(WAIVABLE)})), NodeConfig)
