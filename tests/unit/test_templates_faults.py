"""Faults of an administrator's template are told where they were written, not where YAML gave up."""

from pathlib import Path
from typing import Any

import pytest

from launcher.invariants import violations
from launcher.templates import JobTemplates, TemplateError
from tests.unit.changed_job import nothing_selects
from tests.unit.example_context import SHIPPED, context

EXTENDS = '{% extends "shipped/job.yaml.j2" %}\n'
FIRST_TEXT = {
    "labels": 4,
    "pod_labels": 8,
    "pod_annotations": 8,
    "scheduling": 6,
    "env": 12,
    "resources": 10,
    "mounts": 12,
    "volumes": 8,
}
"""Blocks, and the spaces before what they hold."""
WANTED = {
    "scheduling": ["affinity: {nodeAffinity: {}}", "schedulerName: mine"],
    "env": ["- name: THREADS", '  value: "2"', "- name: MORE", "  value: x"],
    "mounts": ["- name: cache", "  mountPath: /cache"],
    "volumes": ["- name: cache", "  emptyDir:", "    sizeLimit: 1Gi"],
}
"""Lines that an administrator may add to a block."""


def override(folder: Path, block: str, indent: int, *, before: bool = False, alone: bool = False) -> JobTemplates:
    """A template with the wanted lines of a block, indented by so much."""
    lines = "".join(f"{' ' * indent}{line}\n" for line in WANTED[block])
    inherited = "" if alone else "{{ super() }}\n"
    content = lines + inherited if before else inherited + lines
    (folder / "job.yaml.j2").write_text(f"{EXTENDS}{{% block {block} %}}\n{content}{{% endblock %}}\n")
    return JobTemplates(SHIPPED, folder)


def said(templates: JobTemplates) -> str:
    """What a template is refused with, by its text or by its rules; nothing if it is not."""
    try:
        made = templates.rendering("job.yaml.j2", context())
    except TemplateError as error:
        return str(error)
    found = violations(made.manifest, context(), nothing_selects)
    return " ".join(f"{made.rendered.place_of(one.path)}: {one.sentence}" for one in found)


@pytest.mark.parametrize("block", WANTED)
@pytest.mark.parametrize("off", [-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("how", [{}, {"before": True}, {"alone": True}], ids=str)
def test_wrong_indentation_is_told_at_the_line_that_has_it(
    block: str, off: int, how: dict[str, bool], tmp_path: Path
) -> None:
    first = 3 if how else 4
    mine = [f"job.yaml.j2, line {first + index}" for index in range(len(WANTED[block]))]
    sentence = said(override(tmp_path, block, FIRST_TEXT[block] + off, **how))
    if how.get("alone") and (not sentence or "is missing" in sentence):
        return  # a list of its own may have the indentation that it likes
    assert any(sentence.startswith(place) for place in mine), sentence
    assert "shipped/" not in sentence


@pytest.mark.parametrize("block", WANTED)
def test_right_indentation_is_no_fault(block: str, tmp_path: Path) -> None:
    assert "not valid YAML" not in said(override(tmp_path, block, FIRST_TEXT[block]))


def test_the_indentations_above_are_those_of_the_shipped_template() -> None:
    sources = JobTemplates(SHIPPED, None)._sources
    assert {block: sources.indentation_of(block) for block in FIRST_TEXT} == FIRST_TEXT
    assert sources.indentation_of("init_containers") == 6, "nothing is in it, but its tag stands where that would be"
    assert sources.indentation_of("nobody's") is None


@pytest.mark.parametrize("deep", [4, 8])
def test_the_spaces_of_an_init_container_are_counted_too(deep: int, tmp_path: Path) -> None:
    lines = f"{' ' * deep}initContainers:\n{' ' * deep}  - name: logs\n"
    (tmp_path / "job.yaml.j2").write_text(f"{EXTENDS}{{% block init_containers %}}\n{lines}{{% endblock %}}\n")
    sentence = said(JobTemplates(SHIPPED, tmp_path))
    assert sentence.startswith("job.yaml.j2, line 3"), sentence
    assert f"this line has {deep} spaces, what it stands in place of has 6" in sentence


def test_the_fault_of_the_second_block_is_not_looked_for_in_the_first(tmp_path: Path) -> None:
    good = '{% block env %}\n{{ super() }}\n            - {name: A, value: ""}\n{% endblock %}\n'
    bad = "{% block volumes %}\n{{ super() }}\n       - name: b\n         emptyDir: {}\n{% endblock %}\n"
    (tmp_path / "job.yaml.j2").write_text(EXTENDS + good + bad)
    assert said(JobTemplates(SHIPPED, tmp_path)).startswith("job.yaml.j2, line 8: ")


def test_a_fault_of_a_template_of_one_s_own_is_where_yaml_sees_it(tmp_path: Path) -> None:
    (tmp_path / "job.yaml.j2").write_text("a: 1\nb: 2\n c: 3\n")
    assert said(JobTemplates(SHIPPED, tmp_path)).startswith("job.yaml.j2, line 3: ")


def test_spaces_are_counted_though_a_line_of_super_comes_before(tmp_path: Path) -> None:
    sentence = said(override(tmp_path, "scheduling", 8))
    assert "this line has 8 spaces, what it stands in place of has 6" in sentence


def test_a_value_in_the_line_is_shown_as_the_administrator_wrote_it(tmp_path: Path) -> None:
    block = "{% block scheduling %}\n{{ super() }}\n       schedulerName: {{ task.name }}\n{% endblock %}\n"
    (tmp_path / "job.yaml.j2").write_text(EXTENDS + block)
    assert said(JobTemplates(SHIPPED, tmp_path)).endswith(", at: schedulerName: {{ task.name }}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            EXTENDS + "{% block envs %}{% endblock %}",
            "line 2: no block is called 'envs' in what this extends, so it has",
        ),
        (EXTENDS + "\n      a: b\n", "line 3: what is outside of a block has no effect"),
        (EXTENDS + "{{ task.name }}", "line 2: what is outside of a block has no effect"),
        (EXTENDS + "{% if task.name %}\na: b\n{% endif %}", "line 3: what is outside of a block has no effect"),
        (EXTENDS + '{% include "shipped/job.yaml.j2" %}', "line 2: what is outside of a block has no effect"),
    ],
)
def test_what_would_be_ignored_is_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "job.yaml.j2").write_text(text)
    with pytest.raises(TemplateError, match=rf"^job\.yaml\.j2, {says}"):
        JobTemplates(SHIPPED, tmp_path).refuse_ignored(["job.yaml.j2"])


@pytest.mark.parametrize(
    "text",
    [
        "a: b\n",
        "{# a comment #}\n" + EXTENDS + "{# another #}\n{% set x = 1 %}\n{% macro m() %}text{% endmacro %}\n",
        EXTENDS + "{% block env %}{% block further %}{% endblock %}{% endblock %}",
        EXTENDS + "{% set x %}text{% endset %}",
        "{% extends task.image %}{% block x %}{% endblock %}",
    ],
)
def test_what_has_an_effect_is_not(text: str, tmp_path: Path) -> None:
    (tmp_path / "job.yaml.j2").write_text(text)
    JobTemplates(SHIPPED, tmp_path).refuse_ignored(["job.yaml.j2"])


def test_blocks_are_looked_for_in_all_that_is_extended(tmp_path: Path) -> None:
    (tmp_path / "job.yaml.j2").write_text(EXTENDS + "{% block env %}{% block mine %}{% endblock %}{% endblock %}")
    (tmp_path / "gpu.yaml.j2").write_text(
        '{% extends "shipped/gpu.yaml.j2" %}{% block mine %}{% endblock %}{% block volumes %}{% endblock %}'
    )
    JobTemplates(SHIPPED, tmp_path).refuse_ignored(["job.yaml.j2", "gpu.yaml.j2"])


@pytest.mark.parametrize(
    ("block", "lines", "path", "line"),
    [
        ("scheduling", "      hostNetwork: true\n", "spec.template.spec.hostNetwork", 4),
        ("env", "            - name: A\n              value: 1\n", "spec.template.spec.containers[0].env[12].value", 5),
        ("volumes", "        - {name: x, hostPath: {path: /}}\n", "spec.template.spec.volumes[1].hostPath", 4),
        ("labels", "    a.b/c: d\n", 'metadata.labels["a.b/c"]', 4),
        ("mounts", "            - name: x\n", "spec.template.spec.containers[0].volumeMounts[1].mountPath", 4),
    ],
)
def test_a_path_of_the_manifest_leads_to_the_line_that_wrote_it(
    block: str, lines: str, path: str, line: int, tmp_path: Path
) -> None:
    facts: dict[str, Any] = {"secret_env": {}}
    (tmp_path / "job.yaml.j2").write_text(
        f"{EXTENDS}{{% block {block} %}}\n{{{{ super() }}}}\n{lines}{{% endblock %}}\n"
    )
    made = JobTemplates(SHIPPED, tmp_path).rendering("job.yaml.j2", context(**facts))
    place = made.rendered.place_of(path.replace("env[12]", f"env[{2 + 1}]"))
    assert place == f"job.yaml.j2, line {line}"
    assert made.rendered.place_of("spec.template.spec.restartPolicy") == "", "the shipped template's own"


def test_nothing_is_said_of_spaces_where_they_are_not_the_fault(tmp_path: Path) -> None:
    block = "{% block volumes %}\n{{ super() }}\n        - name: x\n          emptyDir: {\n{% endblock %}\n"
    (tmp_path / "job.yaml.j2").write_text(EXTENDS + block)
    sentence = said(JobTemplates(SHIPPED, tmp_path))
    assert sentence.startswith("job.yaml.j2, line 5: ")
    assert sentence.endswith(", at: emptyDir: {")
    assert "spaces" not in sentence


def test_what_super_puts_in_is_the_shipped_template_s_own(tmp_path: Path) -> None:
    made = override(tmp_path, "scheduling", 6).rendering("job.yaml.j2", context())
    pod = "spec.template.spec"
    places = {path: made.rendered.place_of(f"{pod}.{path}") for path in ("nodeSelector", "tolerations", "affinity")}
    assert places == {"nodeSelector": "", "tolerations": "", "affinity": "job.yaml.j2, line 4"}


def test_what_a_macro_puts_in_is_of_the_line_that_calls_it(tmp_path: Path) -> None:
    macro = "{% macro two() %}\n            - name: A\n            - name: B\n              value: 1\n{% endmacro %}\n"
    block = "{% block env %}\n{{ super() }}\n{{ two() }}{% endblock %}\n"
    (tmp_path / "job.yaml.j2").write_text(EXTENDS + macro + block)
    assert said(JobTemplates(SHIPPED, tmp_path)).startswith("job.yaml.j2, line 9: ")
