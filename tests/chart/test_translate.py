"""Translated configuration files against the chart: its schema, its refusals, and what the launcher reads."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.config import ConfigError, NodeConfig
from launcher.translate.document import values_text
from launcher.translate.findings import Done, Site
from launcher.translate.node import translate
from tests.chart.rendering import CHART, NAMESPACE, case, complaints, merged, named, pods, render, run_helm, template
from tests.unit.configurations import NAMES, expected, translated
from tests.unit.node_files import UUID, files

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS = case(CHART / "values.yaml")
# What would nearly always be missing from files of chance, so that nothing is ever rendered.
GIVEN = {"api_key": UUID, "server_url": "https://server.example"}
# What the chart keeps from the launcher, as other pods or Secrets have it.
ELSEWHERE = {"api_key", "whitelist", "ssh-tunnels", "docker_registries"}


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_takes_the_values(name: str, tmp_path: Path):
    _, values, _ = translated(name, tmp_path)
    jsonschema.validate(merged(DEFAULTS, values), SCHEMA)


@pytest.mark.parametrize("name", NAMES)
def test_the_chart_refuses_nothing_but_what_is_to_be_filled_in(name: str, tmp_path: Path, helm: str):
    code, values, _ = translated(name, tmp_path)
    done = template(helm, values)
    refused = sorted({complaint.split()[0].rstrip(":") for complaint in complaints(done.stderr)})
    assert refused == expected(name).get("refused", []), done.stderr
    assert done.returncode == bool(refused)
    assert code or not refused


@pytest.mark.parametrize("name", [name for name in NAMES if not expected(name).get("refused")])
def test_the_launcher_reads_what_the_file_said(name: str, tmp_path: Path):
    _, values, _ = translated(name, tmp_path)
    file = tmp_path / "rendered.yaml"
    file.write_text(named(render(values), "ConfigMap", "v6-node-config")["data"]["node.yaml"])
    if expected(name).get("launcher refuses"):
        with pytest.raises(ConfigError, match=expected(name)["launcher refuses"]):
            NodeConfig.load(file)
        return
    read = NodeConfig.load(file).node.model_dump(mode="json")
    for key in values["node"].keys() - ELSEWHERE:
        said = _said(key, values["node"][key])
        assert _read(read[key], said) == said


def test_what_the_launcher_does_not_read_is_in_its_own_place(tmp_path: Path):
    made = {}
    for name in ("whitelist", "tunnel", "registries-inline"):
        (tmp_path / name).mkdir()
        made[name] = render(translated(name, tmp_path / name)[1])
    squid = "\n".join(named(made["whitelist"], "ConfigMap", "v6-node-egress")["data"].values()).splitlines()
    assert "acl domains dstdomain -n .example.org github.com" in squid
    assert "acl addresses dst -n 192.0.2.40 192.0.2.30 198.51.100.0/24 2001:db8::/32" in squid
    assert "acl ports port 443 8443" in squid
    tunnel = pods(made["tunnel"])["tunnel"]["spec"]
    assert tunnel["containers"][0]["args"][-8:] == [
        *("-p", "2222", "-L", "*:8000:127.0.0.1:5432", "-l", "node", "--", "bastion.north.example.org")
    ]
    assert "tunnel-key-north-tunnel" in json.dumps(tunnel["volumes"])
    logins = json.loads(
        b64decode(named(made["registries-inline"], "Secret", "v6-node-registries")["data"][".dockerconfigjson"])
    )
    passwords = {registry: login["password"] for registry, login in logins["auths"].items()}
    assert passwords == {"registry.north.example.org": "Geheim1", "ghcr.io": "ghp_0000"}
    key = named(made["registries-inline"], "Secret", "v6-node-secrets")["data"]["api_key"]
    assert b64decode(key).decode() == "11111111-2222-4333-8444-555555555555"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files, st.booleans())
def test_whatever_the_chart_refuses_was_to_be_filled_in(source: Any, secrets: bool):
    made = translate(source | GIVEN, Site("worker-1", secrets=secrets))
    todo = {
        finding.keys[0].partition("[")[0].partition(".")[0] for finding in made.findings if finding.done is Done.FILL_IN
    }
    text = values_text(made.values, made.findings, "")
    done = run_helm("helm", "template", "node", str(CHART), "-n", NAMESPACE, "-f", "-", values=text)
    refused = complaints(done.stderr)
    assert done.returncode == bool(refused), done.stderr
    for complaint in refused:
        section, _, key = complaint.split()[0].partition(".")
        root = key.partition("[")[0].partition(".")[0].rstrip(":")
        assert (root if section == "node" else "node_extra_env") in todo, complaint


def _said(key: str, value: Any) -> Any:
    """A value of the chart as the launcher has it: without what is in Secrets, and with numbers of senders as text."""
    if key == "databases":
        return [{name: text for name, text in one.items() if name in _kept(one["type"])} for one in value]
    if key == "policies":
        return {name: _as_texts(given) for name, given in value.items()}
    return {"enabled": value["enabled"]} if key == "encryption" else value


def _kept(kind: str) -> set[str]:
    of_files = set() if kind in {"sql", "omop", "sparql", "other"} else {"uri", "nodeName"}
    return {"label", "type", "mount_mode"} | of_files


def _as_texts(given: Any) -> Any:
    return [str(entry) for entry in given] if isinstance(given, list) else given


def _read(read: Any, said: Any) -> Any:
    """What the launcher has, as far as something was said of it."""
    if isinstance(said, dict):
        return {name: _read(read.get(name), below) for name, below in said.items()}
    if isinstance(said, list) and isinstance(read, list) and len(said) == len(read):
        return [_read(one, below) for one, below in zip(read, said, strict=True)]
    return read
