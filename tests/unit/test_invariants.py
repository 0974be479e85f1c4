"""Each rule, broken once: the manifest is refused with a sentence that names the place, the reason and the remedy."""

import copy
import re
from dataclasses import replace
from typing import Any

import pytest

from launcher.invariants import InvariantError, check, violations
from launcher.jobcontext import Context, DatabaseMount
from launcher.rules import RULES
from tests.unit.broken_rules import CASES
from tests.unit.changed_job import BOX, POD, changed, nothing_selects, rendered
from tests.unit.example_context import context, profile
from tests.unit.fair_changes import FAIR_CASES


def refusal(manifest: dict[str, Any], facts: Context | None = None) -> str:
    """The one sentence that a manifest is refused with."""
    with pytest.raises(InvariantError) as caught:
        check(manifest, facts or context(), nothing_selects)
    [violation] = caught.value.violations
    assert violation.path in violation.sentence
    assert violation.rule in RULES
    assert str(caught.value) == violation.sentence
    assert re.fullmatch(r".*[;)] .*\.|.* is missing; .*\.|.*; .*\.", violation.sentence), "reason, then remedy"
    return violation.sentence


def test_the_shipped_job_keeps_every_rule() -> None:
    bare = context(databases=(), env={}, image=replace(context().image, pull_secrets=()))
    rich = context(
        profile=profile(
            pod_labels={"team": "a", "app.kubernetes.io/part-of": "b"},
            pod_annotations={"example.org/note": "", "karpenter.sh/do-not-disrupt": "false"},
            node_selector={"disk": "fast"},
            tolerations=({"operator": "Exists"},),
            priority_class_name="low",
            supplemental_groups=(1000, 1001),
            resources={
                "requests": {"cpu": 1, "memory": "1Gi", "ephemeral-storage": "1Gi", "nvidia.com/gpu": 1},
                "limits": {"memory": "1Gi", "nvidia.com/gpu": 1},
            },
        )
    )
    for facts in (context(), bare, rich):
        assert violations(rendered(facts), facts, nothing_selects) == []


@pytest.mark.parametrize(("path", "value", "says"), CASES)
def test_a_broken_rule_is_refused_with_its_sentence(path: str, value: object, says: str) -> None:
    pattern = says if "\\" in says else re.escape(says).replace(r"\.\*", ".*")
    assert re.search(pattern, refusal(changed(path, value)))


@pytest.mark.parametrize(("path", "value"), FAIR_CASES)
def test_what_a_template_may_change_is_let_through(path: str, value: object) -> None:
    assert violations(changed(path, value), context(), nothing_selects) == []


def test_a_granted_device_is_granted_up_to_that_number() -> None:
    resources = {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"memory": "1Gi", "nvidia.com/gpu": 1}}
    facts = context(profile=profile(resources=resources))
    assert violations(rendered(facts), facts, nothing_selects) == []
    two = context(profile=profile(resources={**resources, "limits": {"memory": "1Gi", "nvidia.com/gpu": 2}}))
    assert violations(rendered(facts), two, nothing_selects) == []
    more = changed(f"{BOX}.resources.limits", {"memory": "1Gi", "nvidia.com/gpu": 8}, facts)
    assert 'limits["nvidia.com/gpu"]: 8 is not allowed' in refusal(more, facts)


def test_root_is_refused_even_when_values_ask_for_it() -> None:
    facts = context(profile=profile(run_as_user=0))
    assert "never as root" in refusal(rendered(facts), facts)


def test_a_database_in_the_task_volume_is_refused() -> None:
    facts = context(databases=(DatabaseMount("x", "v6-node-tasks", "runs", "/mnt/x"),))
    assert 'subPath: "runs" is not allowed' in refusal(rendered(facts), facts)


def test_another_task_s_database_is_refused() -> None:
    facts = context(databases=context().databases[:2])
    assert 'subPath: "2026/second.csv" is not allowed' in refusal(rendered(context()), facts)


def test_every_broken_rule_has_its_sentence() -> None:
    manifest = changed(f"{POD}.hostNetwork", True)
    manifest["spec"]["backoffLimit"] = 3
    with pytest.raises(InvariantError) as caught:
        check(manifest, context(), nothing_selects)
    assert [violation.path for violation in caught.value.violations] == ["spec.backoffLimit", f"{POD}.hostNetwork"]


def test_a_variable_s_value_is_in_no_sentence() -> None:
    for entry in ({"name": "PASSWORD", "value": 123456}, {"name": "P", "value": "123456", "x": "123456"}):
        assert "123456" not in refusal(changed(f"{BOX}.env.+", entry))


@pytest.mark.parametrize("wrong", [None, True, 0, "x", [], {}, [None], {"a": None}], ids=repr)
def test_a_wrong_type_anywhere_is_a_sentence_and_no_crash(wrong: object) -> None:
    def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return [way, *(place for key, item in inner for place in places(item, (*way, key)))]

    original = rendered(context())
    for way in places(original)[1:]:
        manifest: Any = copy.deepcopy(original)
        place = manifest
        for step in way[:-1]:
            place = place[step]
        place[way[-1]] = wrong
        for violation in violations(manifest, context(), nothing_selects):
            assert violation.sentence.endswith(".")
    assert violations([], context(), nothing_selects), "not even a mapping"  # type: ignore[arg-type]
