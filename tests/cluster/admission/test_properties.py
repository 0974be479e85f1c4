"""Whatever tasks and templates say, what the launcher lets through breaks no rule: judged by the API server.

The judge knows nothing of our checker: it is the Pod Security Standard "restricted", which the namespace enforces on
pods, and the admission policy, which acts on Jobs.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.invariants import violations
from launcher.jobcontext import Context
from launcher.templates import JobTemplates, TemplateError
from tests.cluster import figures
from tests.cluster.admission.judge import Judge
from tests.cluster.admission.template_authors import fair_templates, foul_templates
from tests.unit.broken_rules import nothing_selects
from tests.unit.example_context import SHIPPED
from tests.unit.test_templates_hostile import hostile

EXAMPLES = 600

# Two fair ones for each three foul ones: at least a third has to be valid.
templates = st.one_of(
    fair_templates.map(lambda text: (True, text)),
    foul_templates.map(lambda text: (False, text)),
)


@pytest.fixture(scope="module")
def counts() -> Counter[str]:
    return Counter()


def _accepted(folder: Path, text: str, facts: Context) -> dict[str, Any] | None:
    """The manifest that the launcher would send, or None if it refuses."""
    (folder / "job.yaml.j2").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        manifest = JobTemplates(SHIPPED, folder).render("job.yaml.j2", facts)
    except TemplateError:
        return None
    return None if violations(manifest, facts, nothing_selects) else manifest


@settings(
    max_examples=EXAMPLES,
    deadline=None,  # how long it takes says more about the machine
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(attempt=st.tuples(templates, st.lists(hostile, min_size=3, max_size=3)))
def test_what_the_launcher_lets_through_breaks_no_rule(
    judge: Judge,
    facts: Context,
    counts: Counter[str],
    tmp_path: Path,
    attempt: tuple[tuple[bool, str], list[str]],
) -> None:
    (fair, text), (name, value, image) = attempt
    facts = replace(
        facts,
        task=replace(facts.task, name=name, image=image),
        image=replace(facts.image, ref=image),
        env={**facts.env, "HOSTILE": value},
    )
    manifest = _accepted(tmp_path, text, facts)
    counts["fair" if fair else "foul"] += 1
    if manifest is None:
        assert not fair, "a template that keeps every rule is refused"
        return
    counts["let through"] += 1
    assert judge.denies(manifest) == ""
    assert judge.violates_pod_security(manifest) == ""


def test_enough_was_tried(counts: Counter[str]) -> None:
    figures.note("hostile tasks and templates", f"{dict(counts)}: none that was let through breaks a rule")
    assert counts["fair"] + counts["foul"] >= 500
    assert counts["fair"] >= (counts["fair"] + counts["foul"]) / 3


def test_the_judge_of_pods_sees_what_is_wrong(judge: Judge, facts: Context, tmp_path: Path) -> None:
    manifest = _accepted(tmp_path, '{% extends "shipped/job.yaml.j2" %}', facts)
    assert manifest is not None
    manifest["spec"]["template"]["spec"]["hostNetwork"] = True
    assert "hostNetwork" in judge.violates_pod_security(manifest)
    assert judge.denies(manifest).startswith("pod-security: ")
