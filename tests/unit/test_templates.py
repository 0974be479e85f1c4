"""Rendering: values never become markup, text of blocks and macros stays text, errors name file and line."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from launcher.jobcontext import TaskFacts
from launcher.templates import JobTemplates, TemplateError
from tests.unit.example_context import SHIPPED, context, profile

HOSTILE = "x\"\n'hostNetwork: true\n{{ run.id }} &a *a !!python/object:os.system {% raw %} # ,]}"


def named(name: str) -> TaskFacts:
    return replace(context().task, name=name)


@pytest.fixture
def render(tmp_path: Path) -> Any:
    """Render template text as an administrator's file."""

    def render(text: str, **parts: Any) -> Any:
        (tmp_path / "mine.yaml.j2").write_text(text)
        return JobTemplates(SHIPPED, tmp_path).render("mine.yaml.j2", context(**parts))

    return render


@pytest.mark.parametrize(
    "place", ["a: {{ task.name }}", "a: '{{ task.name }}'", 'a: "{{ task.name }}"', "a: |-\n  {{ task.name }}"]
)
def test_a_value_arrives_unchanged_however_it_is_quoted(render: Any, place: str) -> None:
    assert render(place, task=named(HOSTILE)) == {"a": HOSTILE}


def test_values_keep_their_type_when_they_stand_alone(render: Any) -> None:
    text = "a: {{ run.id }}\nb: {{ profile.resources }}\nc: {{ [1, none, true, 1.5] }}\nd: {{ databases | length }}"
    assert render(text) == {"a": 12, "b": context().profile.resources, "c": [1, None, True, 1.5], "d": 3}


def test_values_are_text_inside_text_in_quotes_and_in_keys(render: Any) -> None:
    text = 'a: run-{{ run.id }}-{{ true }}\nb: "{{ run.id }}"\n{{ run.id }}: x\nk-{{ task.name }}: y'
    assert render(text, task=named("a: b")) == {"a": "run-12-true", "b": "12", "12": "x", "k-a: b": "y"}


def test_text_of_macros_sets_blocks_and_imports_stays_text(tmp_path: Path) -> None:
    (tmp_path / "lib.j2").write_text(
        "{% macro pair(k, v) %}{{ k }}: {{ v }}{% endmacro %}{% set fixed %}c: {{ 3 }}{% endset %}"
    )
    (tmp_path / "part.j2").write_text("d: {{ 4 }}\n")
    text = (
        "{% import 'lib.j2' as lib %}{% from 'lib.j2' import fixed %}{{ lib.pair('a', task.name) }}\n"
        "{% set line %}b: {{ run.id }}{% endset %}{{ line }}\n{{ fixed }}\n"
        "{% include 'part.j2' %}\n{% block last %}e: {{ 5 }}\n{% endblock %}\nf:\n  {{ self.last() | default('-') }}"
    )
    expected = {"a": HOSTILE, "b": 12, "c": 3, "d": 4, "e": 5, "f": {"e": 5}}
    (tmp_path / "mine.yaml.j2").write_text(text)
    templates = JobTemplates(SHIPPED, tmp_path)
    assert templates.render("mine.yaml.j2", context(task=named(HOSTILE))) == expected
    again = templates.render("mine.yaml.j2", context(task=named("again")))
    assert again == expected | {"a": "again"}, "nothing of the first rendering remains"


@pytest.mark.parametrize(
    "text",
    [
        "a: {{ 'b: ' ~ task.name }}",
        "a: {{ 'b: %s' | format(task.name) }}",
        "a: {{ 'b: ' + task.name }}",
        "a: {{ 'b: {}'.format(task.name) }}",
        "a: {{ ['b: ', task.name] | join }}",
        "{% set x = 'b: ' ~ task.name %}a: {{ x }}",
    ],
)
def test_glued_values_are_data(render: Any, text: str) -> None:
    assert render(text, task=named(HOSTILE)) == {"a": f"b: {HOSTILE}"}


@pytest.mark.parametrize(
    "expression",
    ["x ~ 'a'", "x | upper", "x | string", "[x, 1] | join", "'%s' | format(x)", "x | striptags", "x | trim"],
)
def test_rendered_text_cannot_pass_through_an_expression(render: Any, expression: str) -> None:
    with pytest.raises(TemplateError, match=r"mine\.yaml\.j2, line 2: .* already rendered .* to the value itself"):
        render("{% set x %}{{ task.name }}{{ run.id }}{% endset %}\na: {{ " + expression + " }}")


@pytest.mark.parametrize(
    "expression",
    ["[x]", "{x: 1}", "x.strip()", "x[0:60]", "x | indent(2)", "x | length", "m", "m ~ ''", "m | striptags"],
)
def test_rendered_text_is_no_value(tmp_path: Path, render: Any, expression: str) -> None:
    (tmp_path / "lib.j2").write_text("{{ 1 }}")
    with pytest.raises(TemplateError, match=r"mine\.yaml\.j2, line 2: "):
        render("{% import 'lib.j2' as m %}{% set x %}{{ task.name }}{% endset %}\na: {{ " + expression + " }}")


def test_rendered_text_without_values_is_text_like_any_other(render: Any) -> None:
    text = "{% set x %}host{% endset %}{% set y %}{% endset %}a: {{ x ~ '/b' }}\nb: {{ x | upper }}\nc: {{ not y }}"
    assert render(text) == {"a": "host/b", "b": "HOST", "c": True}


def test_a_block_is_overridden_in_place_and_keeps_what_it_had(render: Any) -> None:
    block = "{% block pod_labels %}\n{{ super() }}\n        team: {{ task.name }}\n{% endblock %}"
    manifest = render("{% extends 'shipped/job.yaml.j2' %}\n" + block, task=named(HOSTILE))
    labels = manifest["spec"]["template"]["metadata"]["labels"]
    assert labels["team"] == HOSTILE
    assert labels["v6-node.vantage6.ai/run-id"] == "12"


def test_shipped_always_means_ours_and_the_plain_name_the_override(tmp_path: Path) -> None:
    (tmp_path / "job.yaml.j2").write_text("kind: Other")
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "job.yaml.j2").write_text("kind: Trap")
    templates = JobTemplates(SHIPPED, tmp_path)
    assert templates.render("job.yaml.j2", context()) == {"kind": "Other"}
    assert templates.render("shipped/job.yaml.j2", context())["kind"] == "Job"
    assert JobTemplates(SHIPPED, None).render("job.yaml.j2", context())["kind"] == "Job"


@pytest.mark.parametrize("name", ["e", "escape", "forceescape", "safe", "tojson", "urlize", "xmlattr"])
def test_filters_that_make_markup_are_refused(render: Any, name: str) -> None:
    with pytest.raises(TemplateError, match=rf"mine\.yaml\.j2, line 2: uses the filter '{name}'; remove it"):
        render("a: 1\nb: {{ task.name | " + name + " }}")
    with pytest.raises(TemplateError, match=f"No filter named '{name}'"):
        render("b: {{ [task.name] | map('" + name + "') | list }}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "a: {{ task.nmae }}",
            "line 1: no field is called 'nmae' there; did you mean name\\? docs/template-reference.md has",
        ),
        ("a: {{ isolation.blank_evn }}", "did you mean blank_env\\?"),
        ("a: {{ task.zzz }}", "line 1: no field is called 'zzz' there; docs/template-reference.md has all names"),
        ("a: 1\n{% if tsak %}{% endif %}", "line 2: 'tsak' is undefined; did you mean task\\?"),
        ("a: {{ super() }}", "line 1: 'super' is undefined; "),
        ("{% block a %}a: {{ super() }}{% endblock %}", "no parent block called 'a'; begin the file with {% extends"),
        ("a: 1\nb: {{ task. }}", "line 2: .*"),
        ("a: 1\n\nb: [", r"line 3: the template is not valid YAML \(.*\), at: b: \["),
        ("a: 1\nb: {{ run.id }}\na: 2", "line 3: the template gives the key 'a' twice"),
        ("{% for i in [1, 2] %}\nk{{ 'x' }}: {{ i }}\n{% endfor %}", "line 2: the template gives the key 'kx' twice"),
        ("a: &x 1\nb: *x", r"the template uses a YAML alias \(\*name\)"),
        ("a: !!binary aGk=", "line 1: the template uses the YAML tag"),
        ("a: !secret x", "line 1: the template uses the YAML tag '!secret'"),
        ("a: 1\n---\nb: 2", "not valid YAML .*single document"),
        ("? [a]\n: 1", "has a list or mapping as a key"),
        ("- a", "renders to no mapping; it must be one batch/v1 Job"),
        ("# {{ task.name }}", "renders to nothing"),
        ("a: 1\nb: '{{ profile.resources }}'", "line 2: the template uses a list or mapping inside text"),
        ("a: x-{{ none }}", "line 1: the template uses an empty value"),
        ("a: 1\nb: {{ run }}", "line 2: the template writes a RunFacts, which is no plain value; name"),
        ("a: {{ 1 / 0 }}", "line 1: ZeroDivisionError: .*; correct this expression"),
        ("a: {{ ''.__class__ }}", "line 1: .*__class__.*; correct this expression"),
        ("a: {{ env.update({'x': 'y'}) }}", "line 1: SecurityError"),
        ("{% extends 'shipped/jobs.j2' %}", r"line 1: no template is called 'shipped/jobs.j2'; shipped ones are"),
        ("{% extends 'mine.yaml.j2' %}", "extends or includes itself; an override extends 'shipped/<file>'"),
        ("a: 1\n{% autoescape true %}{% endautoescape %}", "line 2: uses the tag 'autoescape'; remove it"),
        ("{% filter upper %}{{ task.name }}{% endfilter %}", "line 1: uses the tag 'filter'; apply the filter"),
        ("{% call f() %}{% endcall %}", "line 1: uses the tag 'call'"),
    ],
)
def test_a_broken_template_is_refused_with_one_sentence(render: Any, text: str, says: str) -> None:
    with pytest.raises(TemplateError, match=rf"mine\.yaml\.j2.*{says}") as caught:
        render(text)
    assert "\n" not in str(caught.value)


def test_a_fault_in_an_overridden_block_is_found_in_the_override(render: Any) -> None:
    text = "{% extends 'shipped/job.yaml.j2' %}\n\n{% block scheduling %}\n      a{{ [] }}: 1\n{% endblock %}"
    with pytest.raises(TemplateError, match=r"mine\.yaml\.j2, line 4: the template uses a list or mapping inside text"):
        render(text)


def test_a_missing_template_is_named() -> None:
    with pytest.raises(TemplateError, match=r"^root\.yaml\.j2: no template is called 'root\.yaml\.j2'"):
        JobTemplates(SHIPPED, None).render("root.yaml.j2", context())


@pytest.mark.parametrize("scalar", ["no", "on", "1:30", "2026-01-01", "<<", "=", "1_000", ".inf", "0x", "+"])
def test_what_looks_like_text_is_text(render: Any, scalar: str) -> None:
    assert render(f"a: {scalar}") == {"a": scalar}


def test_numbers_are_what_kubectl_makes_of_them(render: Any) -> None:
    text = "a: [0440, 0x1f, -3, 1.5, 1e3, 010, 0, ~, null, true, FALSE]"
    assert render(text) == {"a": [0o440, 31, -3, 1.5, 1000.0, 8, 0, None, None, True, False]}


def test_optional_settings_appear_only_when_given() -> None:
    templates = JobTemplates(SHIPPED, None)
    plain = templates.render("job.yaml.j2", context())["spec"]["template"]["spec"]
    assert "priorityClassName" not in plain
    rich = templates.render(
        "job.yaml.j2",
        context(
            profile=profile(priority_class_name="low", tolerations=({"key": "gpu", "operator": "Exists"},)),
            env={"HOME": "/mnt/tmp"},
        ),
    )["spec"]["template"]["spec"]
    assert rich["priorityClassName"] == "low"
    assert rich["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert [entry for entry in rich["containers"][0]["env"] if entry["name"] == "HOME"] == [
        {"name": "HOME", "value": "/mnt/tmp"}
    ]


def test_databases_of_one_claim_share_its_volume() -> None:
    pod = JobTemplates(SHIPPED, None).render("job.yaml.j2", context())["spec"]["template"]["spec"]
    claims = {v["name"]: v["persistentVolumeClaim"] for v in pod["volumes"] if "persistentVolumeClaim" in v}
    assert claims == {
        "task": {"claimName": "v6-node-tasks"},
        "database-0": {"claimName": "v6-node-database-default", "readOnly": True},
        "database-1": {"claimName": "registry-data", "readOnly": True},
    }
    mounts = {m["mountPath"]: m for m in pod["containers"][0]["volumeMounts"]}
    assert mounts["/mnt/second.csv"] == {
        "name": "database-1",
        "mountPath": "/mnt/second.csv",
        "subPath": "2026/second.csv",
        "readOnly": True,
    }
    assert "subPath" not in mounts["/mnt/default.csv"]


def test_a_template_that_nothing_uses_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "job.yml.j2").write_text("{% extends 'shipped/job.yaml.j2' %}")
    with pytest.raises(TemplateError, match=r"nothing uses 'job\.yml\.j2'; a run's Job is made by job\.yaml\.j2"):
        JobTemplates(SHIPPED, tmp_path).refuse_ignored(["job.yaml.j2"])


@pytest.mark.parametrize("how", ["{% include 'more.j2' %}", "{% import 'more.j2' as more %}", "{% include pick %}"])
def test_a_template_that_is_reached_or_may_be_is_none_of_them(tmp_path: Path, how: str) -> None:
    (tmp_path / "job.yaml.j2").write_text("{% extends 'shipped/job.yaml.j2' %}{% block env %}" + how + "{% endblock %}")
    (tmp_path / "more.j2").write_text("{% import 'gone.j2' as gone %}")
    JobTemplates(SHIPPED, tmp_path).refuse_ignored(["job.yaml.j2"])
    JobTemplates(SHIPPED, None).refuse_ignored(["job.yaml.j2"])


def test_a_syntax_error_is_found_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "job.yaml.j2").write_text("{% extends 'shipped/job.yaml.j2' %}\n{% block %}")
    with pytest.raises(TemplateError, match=r"job\.yaml\.j2, line 2"):
        JobTemplates(SHIPPED, tmp_path).refuse_ignored(["job.yaml.j2"])
