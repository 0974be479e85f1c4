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
from tests import figures
from tests.cluster.admission.judge import Judge
from tests.cluster.admission.template_authors import fair_templates, foul_templates, words
from tests.unit.changed_job import nothing_selects
from tests.unit.example_context import SHIPPED
from tests.unit.test_templates_hostile import hostile

EXAMPLES = 600

# Mostly fair ones: at least a third has to come as far as the policies.
templates = st.sampled_from([True, True, False]).flatmap(
    lambda fair: (fair_templates if fair else foul_templates).map(lambda text: (fair, text))
)
images = st.sampled_from([True, True, False]).flatmap(
    lambda usual: words.map(lambda word: f"example.org/{word}") if usual else hostile
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
@given(attempt=st.tuples(templates, st.tuples(hostile, hostile, images)))
def test_what_the_launcher_lets_through_breaks_no_rule(
    judge: Judge,
    facts: Context,
    counts: Counter[str],
    tmp_path: Path,
    attempt: tuple[tuple[bool, str], tuple[str, str, str]],
) -> None:
    (fair, text), (name, value, image) = attempt
    hostile_run = replace(
        facts,
        task=replace(facts.task, name=name, image=image),
        image=replace(facts.image, ref=image),
        env={**facts.env, "HOSTILE": value},
    )
    manifest = _accepted(tmp_path, text, hostile_run)
    counts["tried"] += 1
    counts["fair"] += fair
    if manifest is None:
        assert not fair, "a template that keeps every rule is refused"
        return
    counts["let through"] += 1
    counts["accepted whole"] += _holds(judge, manifest)
    # A name that no image can have is refused before any policy looks: the rest is also judged without it.
    tame = _accepted(tmp_path, text, facts)
    assert tame is not None, "a template's fairness hangs on the task"
    accepted = _holds(judge, tame)
    counts["accepted"] += accepted
    assert accepted or not fair, judge.says(tame)


def _holds(judge: Judge, manifest: dict[str, Any]) -> bool:
    """Whether the API server would execute a manifest that the launcher lets through; it must break no rule."""
    assert judge.denies(manifest) == ""
    assert judge.violates_pod_security(manifest) == ""
    return judge.accepts(manifest)


def test_enough_was_tried(counts: Counter[str]) -> None:
    figures.note("hostile tasks and templates", f"{dict(counts)}: none that was let through breaks a rule")
    assert counts["tried"] >= 500
    assert counts["accepted"] >= counts["tried"] / 3, "what the API server finds malformed shows nothing"
    assert counts["accepted whole"] >= counts["tried"] / 6, "hostile words are what this is about"


def test_the_judge_of_pods_sees_what_is_wrong(judge: Judge, facts: Context, tmp_path: Path) -> None:
    manifest = _accepted(tmp_path, '{% extends "shipped/job.yaml.j2" %}', facts)
    assert manifest is not None
    manifest["spec"]["template"]["spec"]["hostNetwork"] = True
    assert "hostNetwork" in judge.violates_pod_security(manifest)
    assert judge.denies(manifest).startswith("pod-security: ")
