"""values.yaml, its schema, the case that sets everything, and the chart's page agree with each other."""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from ci.tools import bin_dir
from tests.chart.rendering import CHART, ROOT, case

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = (CHART / "values.yaml").read_text()


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return SCHEMA["definitions"][schema["$ref"].removeprefix("#/definitions/")]
    return schema


def _schema_keys(schema: dict[str, Any] = SCHEMA, prefix: str = "") -> Iterator[str]:
    """Keys that the schema lists, by their path; inside shared definitions only the chart's own sections count."""
    for key, found in schema.get("properties", {}).items():
        if prefix + key != "global":
            yield prefix + key
            yield from _schema_keys(found, f"{prefix}{key}.")


def _value_keys(values: dict[str, Any], schema: dict[str, Any] = SCHEMA, prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield prefix + key
        below = schema.get("properties", {}).get(key, {})
        if isinstance(value, dict) and "properties" in below:
            yield from _value_keys(value, below, f"{prefix}{key}.")


def _objects(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each part of the schema that describes an object with keys of its own."""
    if isinstance(schema, dict):
        if "properties" in schema and isinstance(schema.get("type"), str):
            yield path, schema
        for key, below in schema.items():
            yield from _objects(below, f"{path}/{key}")


def test_values_and_schema_have_the_same_keys():
    assert sorted(_value_keys(yaml.safe_load(VALUES))) == sorted(_schema_keys())


def test_schema_refuses_unknown_keys_everywhere():
    found = dict(_objects(SCHEMA))
    assert len(found) > 15
    assert [path for path, one in found.items() if one.get("additionalProperties") is not False] == []


def test_schema_describes_every_key():
    missing = [
        f"{path}/{key}"
        for path, one in _objects(SCHEMA)
        for key, found in one["properties"].items()
        if not found.get("description")
    ]
    assert missing == []


def test_every_key_of_an_entry_is_named_in_values():
    """What an entry of a list has, has no line of its own: the comment above the list tells of it."""
    of_kubernetes = {"affinity", "spread", "tolerations", "variables", "keyReference"}
    definitions = [one for name, one in SCHEMA["definitions"].items() if name not in of_kubernetes]
    keys = {key for one in definitions for _, found in _objects(one) for key in found["properties"]}
    assert len(keys) > 30
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}\b", VALUES)] == []


def test_every_definition_is_used():
    text = json.dumps(SCHEMA)
    assert [name for name in SCHEMA["definitions"] if f'"#/definitions/{name}"' not in text] == []


def test_every_key_of_values_has_a_comment():
    """A key of the chart has a comment right above it, or is a section whose keys all have one."""
    above = {path: before.lstrip() for path, before in _keys_with_the_line_above()}
    wanted = {key for key in _schema_keys() if "properties" not in _at(key)}
    assert [key for key in wanted if not above[key].startswith("#")] == []


def _keys_with_the_line_above() -> Iterator[tuple[str, str]]:
    lines = VALUES.splitlines()
    path: list[str] = []
    for before, line in itertools.pairwise(lines):
        if key := re.match(r"( *)([-\w]+):", line):
            path = [*path[: len(key[1]) // 2], key[2]]
            yield ".".join(path), before


def _at(path: str) -> dict[str, Any]:
    schema = SCHEMA
    for key in path.split("."):
        schema = _resolved(schema["properties"][key])
    return schema


def test_the_full_case_sets_every_key():
    given = set(_value_keys(case(CHART / "ci" / "everything-values.yaml")))
    # One of two ways is taken: the API key inline, the private key in a Secret, and a task volume made by the chart.
    one_of_two = {"existingSecret", "node.encryption.private_key", "taskVolume.existingClaim"}
    assert set(_schema_keys()) - given == one_of_two


def test_the_example_differs_from_the_defaults_only_where_it_means_to():
    example = case(ROOT / "values.example.yaml")
    assert set(_value_keys(example)) <= set(_schema_keys())
    assert len((ROOT / "values.example.yaml").read_text().splitlines()) < 80


@pytest.mark.parametrize("text", [VALUES, (CHART / "Chart.yaml").read_text()])
def test_lines_are_short(text: str):
    assert max(map(len, text.splitlines())) <= 120


def test_the_chart_has_the_version_of_the_package():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    package = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert package
    assert chart["appVersion"] == package[1]
    assert f"v6-node:{chart['appVersion']}" in chart["annotations"]["artifacthub.io/images"]


def test_the_chart_page_is_current():
    """Made by `helm-docs --sort-values-order file` in charts/."""
    command = [str(bin_dir(go_tools=True) / "helm-docs"), "--sort-values-order", "file", "--dry-run"]
    done = subprocess.run(command, cwd=ROOT / "charts", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (CHART / "README.md").read_text().strip()
