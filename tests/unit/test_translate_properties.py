"""Whatever a configuration says: it is translated, nothing is lost, the schema takes it, no secret is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from launcher.config.node import NodeSection
from launcher.translate.document import scalar, secrets_text, values_text
from launcher.translate.findings import Done, Site, text_of
from launcher.translate.node import Translation, translate
from tests.unit.node_files import SECRET, anything, files, names

CHART = Path(__file__).parents[2] / "charts" / "v6-node"
SCHEMA = jsonschema.Draft7Validator(json.loads((CHART / "values.schema.json").read_text()))
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
PEM = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"
sites = st.sampled_from(
    [
        Site(),
        Site(node_name="worker-1"),
        Site(secrets=True),
        Site("worker-1", "north", True, {"keys/organization": PEM, "keys/tunnel": PEM}),
    ]
)
ABSENT = object()


def merged(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: merged(below.get(key), value) for key, value in above.items()}
    return above


def lost(source: dict[Any, Any], made: Translation) -> list[str]:
    """Paths of the file of which neither the values nor a finding have anything."""
    said = {key for finding in made.findings for key in finding.keys}
    return [
        path
        for key, value in source.items()
        for path in _lost(str(key), value, made.values["node"].get(key, ABSENT), said)
    ]


def _lost(path: str, value: Any, home: Any, said: set[str]) -> Iterator[str]:
    if path in said or value in (None, "", [], {}) or text_of(value) == text_of(home):
        return
    if isinstance(value, dict) and (home is ABSENT or isinstance(home, dict)):
        there = {} if home is ABSENT else home
        for key, below in value.items():
            yield from _lost(f"{path}.{key}", below, there.get(key, ABSENT), said)
    elif isinstance(value, list):
        there = home if isinstance(home, list) else []
        stayed = [(index, entry) for index, entry in enumerate(value) if f"{path}[{index}]" not in said]
        for number, (index, entry) in enumerate(stayed):
            # Entries with keys stay in their order; of others it is enough that they are there.
            partner = there[number] if isinstance(entry, dict) and number < len(there) else there
            yield from _lost(f"{path}[{index}]", entry, partner, said)
    elif text_of(value) not in [text_of(one) for one in (home if isinstance(home, list) else [home])]:
        yield path


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(files, sites)
@example({"docker_registries": [{"username": "node", "password": "key ", "registry": "host\x85"}]}, Site())
def test_nothing_is_lost_and_the_schema_takes_it(source: Any, site: Site):
    made = translate(source, site)
    assert lost(source, made) == []
    SCHEMA.validate(merged(DEFAULTS, made.values))


@settings(deadline=None)  # how long it takes says more about the machine
@given(st.dictionaries(names, anything), sites)
def test_anything_is_translated(source: Any, site: Site):
    made = translate(source, site)
    assert lost(source, made) == []
    SCHEMA.validate(merged(DEFAULTS, made.values))


@settings(deadline=None)  # how long it takes says more about the machine
@given(files, sites)
def test_the_file_says_what_the_values_are_and_where_to_fill_in(source: Any, site: Site):
    made = translate(source, site)
    text = values_text(made.values, made.findings, "Head")
    assert yaml.safe_load(text) == made.values
    assert text.count("# Fill in") == len([one for one in made.findings if one.done is Done.FILL_IN])
    if made.secrets:
        assert list(yaml.safe_load_all(secrets_text(made.secrets, "Head"))) == list(made.secrets.values())


@settings(deadline=None)  # how long it takes says more about the machine
@given(files, sites)
def test_the_report_is_a_line_each_without_secrets(source: Any, site: Site):
    made = translate(source, site)
    lines = [one.line() for one in made.findings]
    assert all(line.isprintable() and line.endswith(".") for line in lines)
    assert not [line for line in lines if SECRET in line]
    if not site.secrets:
        assert made.secrets == {}
    comments = [
        line for line in values_text(made.values, made.findings, "").splitlines() if line.lstrip().startswith("#")
    ]
    assert not [line for line in comments if SECRET in line]


@settings(deadline=None)  # how long it takes says more about the machine
@given(files, sites)
def test_where_nothing_is_to_be_filled_in_the_launcher_takes_it(source: Any, site: Site):
    made = translate(source, site)
    if any(one.done is Done.FILL_IN for one in made.findings):
        return
    elsewhere = {"api_key", "whitelist", "ssh-tunnels", "docker_registries"}
    node = {key: value for key, value in made.values["node"].items() if key not in elsewhere}
    node["encryption"] = {"enabled": node["encryption"]["enabled"]}
    known = {"label", "type", "uri", "nodeName", "mount_mode"}
    node["databases"] = [{key: one[key] for key in known & one.keys()} for one in node.get("databases", [])]
    NodeSection.model_validate(node)


@settings(deadline=None)  # how long it takes says more about the machine
@given(files, sites)
def test_policies_never_let_more_run(source: Any, site: Site):
    """A list that was given stays a list, even if nothing of it could be used."""
    given = source.get("policies")
    made = translate(source, site).values["node"].get("policies", {})
    for key in ("allowed_algorithms", "allowed_algorithm_stores", "allowed_users", "allowed_organizations"):
        if isinstance(given, dict) and given.get(key):
            assert made[key], key


@pytest.mark.parametrize(
    "text", ["y", "1e3", "0o7", "0x1", ".5", "null", "~", "1_000", "on", "12:30:45", "=", "<<", "- a", ""]
)
def test_a_text_stays_a_text_for_every_reader(text: str):
    assert scalar(text).startswith('"')


@settings(deadline=None)  # how long it takes says more about the machine
@given(st.text())
def test_every_text_is_read_as_it_was(text: str):
    assert yaml.safe_load(f"a: {scalar(text)}") == {"a": text}
