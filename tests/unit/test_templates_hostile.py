"""Properties: whatever text the values hold, the manifest's structure is the template author's."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.invariants import violations
from launcher.jobcontext import Context
from launcher.templates import JobTemplates
from tests.unit.changed_job import nothing_selects
from tests.unit.example_context import SHIPPED, context, profile

MARK = re.compile(r"mark(\d+)end")

# A template by somebody who never heard of quoting.
CARELESS = """
{% macro twice(x) %}{{ x }} and {{ x }}{% endmacro %}
{% set kept %}{{ task.name }}{% endset %}
plain: {{ task.name }}
longer: before {{ task.name }} after {{ image.ref }}
single: '{{ task.name }}'
double: "{{ task.name }}"
literal: |
  {{ task.name }}
  second line
folded: >-
  {{ task.name }}
flow: [{{ task.name }}, {{ image.ref }}, {a: {{ task.image }}}]
{{ task.method }}: as a key
prefix-{{ task.method }}: as a part of a key
macro: {{ twice(task.name) }}
kept: {{ kept }}
glued: {{ "x" ~ task.name }}
list:
{% for name, value in env.items() %}
- {{ name }}={{ value }}
{% endfor %}
# a comment with {{ task.name }}
deep: {{ {"a": [task.name, {task.method: task.image}]} }}
{% block last %}
last: {{ task.name }} # not a comment of the value's
{% endblock %}
"""

FRAGMENTS = (
    "\n", "\r\n", "\n---\n", "\n...\n", "'", '"', ": ", "- ", " #", "{{ run.id }}", "{%", "%}", "{#", "#}", "&a ", "*a",
    "!!python/object/apply:os.system ", "<<: ", "{", "}", "[", "]", ",", "|\n", ">", "?", "@", "`", "%YAML 1.1", "\\",
    "\x00", "\x1b", "\x85", "\u2028", "\ufeff", "\ud800", "true", "null", "0x10", "1e3", "~", " ", "\t",
    "\nhostNetwork: true\n", "mark0end", "v6", "x0x",
)  # fmt: skip
hostile = st.lists(
    st.one_of(st.sampled_from(FRAGMENTS), st.text(st.characters(exclude_categories=()), max_size=8)), max_size=8
).map("".join) | st.integers(1, 4).map(lambda power: '"\n' * 10**power)


def marked(value: Any, counter: list[int]) -> Any:
    """The same context with a mark of its own in place of every text, keys of mappings included."""
    if isinstance(value, str):
        counter[0] += 1
        return f"mark{counter[0]}end"
    if isinstance(value, Mapping):
        return {marked(key, counter): marked(item, counter) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(marked(item, counter) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(
            value, **{field.name: marked(getattr(value, field.name), counter) for field in dataclasses.fields(value)}
        )
    return value


def replaced(value: Any, texts: list[str]) -> Any:
    """Everything marked, with texts around the marks (which keep what was different different)."""
    if isinstance(value, str):
        return MARK.sub(lambda mark: texts[int(mark[1]) % len(texts)] + mark[0] + texts[0], value)
    if isinstance(value, Mapping):
        return {replaced(key, texts): replaced(item, texts) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(replaced(item, texts) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(
            value, **{field.name: replaced(getattr(value, field.name), texts) for field in dataclasses.fields(value)}
        )
    return value


# Labels, selectors and annotations too; not the resources, which the chart's schema lets through as quantities only.
FULL = context(
    profile=profile(
        node_selector={"a": "b"},
        tolerations=({"key": "a", "value": "b"},),
        pod_labels={"a": "b", "c": "d"},
        pod_annotations={"a": "b"},
        priority_class_name="low",
    )
)
HARMLESS: Context = marked(FULL, [0])
HARMLESS = dataclasses.replace(
    HARMLESS,
    profile=dataclasses.replace(
        HARMLESS.profile,
        resources=FULL.profile.resources,
        tmp_size_limit=FULL.profile.tmp_size_limit,
    ),
)


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> JobTemplates:
    folder: Path = tmp_path_factory.mktemp("templates")
    (folder / "careless.yaml.j2").write_text(CARELESS)
    return JobTemplates(SHIPPED, folder)


@pytest.mark.parametrize("name", ["job.yaml.j2", "careless.yaml.j2"])
@settings(deadline=None)  # how long it takes says more about the machine
@given(texts=st.lists(hostile, min_size=1, max_size=6))
def test_hostile_texts_are_leaves_and_never_structure(careless: JobTemplates, name: str, texts: list[str]) -> None:
    usual = careless.render(name, HARMLESS)
    assert careless.render(name, replaced(HARMLESS, texts)) == replaced(usual, texts)


@settings(deadline=None)  # how long it takes says more about the machine
@given(texts=st.lists(hostile, min_size=1, max_size=6))
def test_a_job_with_hostile_texts_keeps_every_rule(careless: JobTemplates, texts: list[str]) -> None:
    facts = replaced(HARMLESS, texts)
    assert violations(careless.render("job.yaml.j2", facts), facts, nothing_selects) == []


def test_every_place_of_the_careless_template_holds_a_value(careless: JobTemplates) -> None:
    tree = careless.render("careless.yaml.j2", HARMLESS)
    assert len(tree) == 15
    assert len(MARK.findall(repr(tree))) == 24


def test_a_text_of_a_mebibyte_is_a_leaf(careless: JobTemplates) -> None:
    texts = ['"\n- {{ x: *y }}' * 2**16]
    usual = careless.render("careless.yaml.j2", HARMLESS)
    assert careless.render("careless.yaml.j2", replaced(HARMLESS, texts))["plain"] == replaced(usual["plain"], texts)
