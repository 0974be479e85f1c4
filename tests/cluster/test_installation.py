"""What `helm install` brings into a namespace, from documented values, and what it says when it can't work."""

import json
import re
import uuid
from typing import Any

import pytest
import yaml

from tests.cluster.troupe import Troupe
from tests.stage.kube import Kubectl
from tests.stage.node import CHART, LAUNCHER, Node
from tests.stage.waiting import wait_until

EXAMPLE = CHART.parents[1] / "values.example.yaml"


@pytest.fixture(scope="module")
def node(troupe: Troupe) -> Node:
    file: dict[str, Any] = {"label": "Host_CSV", "type": "csv", "uri": "/srv/nothing.csv"}
    service: dict[str, Any] = {"label": "Registry", "type": "sql", "uri": "postgresql://registry.example.org/a"}
    service["reach"] = [{"host": "registry.example.org", "port": 1}, {"host": "203.0.113.20", "port": 1}]
    service["reach"].append({"host": "bastion", "port": 8000})
    identity = {"username": "node", "key": "-----BEGIN nothing"}
    ssh = {"host": "203.0.113.22", "fingerprint": "ssh-ed25519 AAAA", "identity": identity}
    forward = {"bind": {"port": 8000}, "dest": {"ip": "127.0.0.1", "port": 1}}
    tunnels = [{"hostname": "bastion", "ssh": ssh, "tunnel": forward}]
    more = {"whitelist": {"domains": ["example.org"]}, "ssh-tunnels": tunnels}
    return troupe.node(troupe.collaboration(), databases=[file, service], **more).start()


def documented(kind: str) -> list[str]:
    """The names that the chart's page has for a kind of object, as regular expressions."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|", (CHART / "README.md").read_text(), re.MULTILINE)
    names = [name for kinds, cell in rows if re.search(rf"\b{kind}\b", kinds) for name in re.findall(r"`(.+?)`", cell)]
    named = [name for name in names if "<namespace>" not in name]  # of the cluster, not of the namespace
    return [
        name.replace("<label>", "[a-z-]+").replace("<hostname>", "bastion").replace("<hash>", "[0-9a-f]{8}")
        for name in named
    ]


@pytest.mark.parametrize(
    ("plural", "kind"),
    [("networkpolicies", "NetworkPolicy"), ("roles", "Role"), ("persistentvolumeclaims", "PersistentVolumeClaim")],
)
def test_a_namespace_holds_exactly_what_the_charts_page_lists(
    node: Node, kubectl: Kubectl, plural: str, kind: str
) -> None:
    there = [each["metadata"]["name"] for each in kubectl.get(plural, namespace=node.namespace)]
    patterns = documented(kind)
    assert patterns
    assert [name for name in there if not any(re.fullmatch(pattern, name) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not any(re.fullmatch(pattern, name) for name in there)] == []


def test_no_pod_but_the_launcher_has_a_token(node: Node) -> None:
    for role, count in (("launcher", 1), ("proxy", 0)):
        (pod,) = node.pods(role)
        sources = [s for volume in pod["spec"]["volumes"] for s in volume.get("projected", {}).get("sources", [])]
        assert sum("serviceAccountToken" in source for source in sources) == count


def test_the_launcher_may_do_what_the_page_says_and_not_more(node: Node, kubectl: Kubectl) -> None:
    account = f"system:serviceaccount:{node.namespace}:v6-node-launcher"
    for verb, what, answer in (
        ("create", "jobs.batch", "yes"),
        ("delete", "jobs.batch", "yes"),
        ("get", "secrets", "no"),
        ("create", "pods", "no"),
        ("create", "pods/exec", "no"),
        ("patch", "networkpolicies.networking.k8s.io", "no"),
    ):
        said = kubectl.ask("auth", "can-i", verb, what, "--as", account, namespace=node.namespace)
        assert said == answer, f"{verb} {what}"


def test_a_second_release_in_the_namespace_is_refused_with_a_sentence(node: Node, kubectl: Kubectl) -> None:
    with pytest.raises(Exception, match="already has the vantage6 node of release") as refusal:
        kubectl.helm("install", "second", str(CHART), "-f", str(node.values_file), namespace=node.namespace)
    assert node.namespace in str(refusal.value)


def test_the_example_values_install_with_server_and_key_replaced(troupe: Troupe, kubectl: Kubectl) -> None:
    node = troupe.node(troupe.collaboration())
    ours = node.values
    values = yaml.safe_load(EXAMPLE.read_text())
    values["node"] |= {key: ours["node"][key] for key in ("server_url", "port")}
    values |= {"image": ours["image"], "isolation": ours["isolation"]}
    secret = values["existingSecret"]
    key = f"--from-literal=api_key={ours['node']['api_key']}"
    kubectl("create", "secret", "generic", secret, key, namespace=node.namespace)
    node.values = values
    node.install()
    node.wait_online()


@pytest.mark.contract("§3 unknown key is fatal")
def test_a_wrong_api_key_is_one_sentence_in_the_launchers_log(troupe: Troupe) -> None:
    node = troupe.node(troupe.collaboration())
    node.values["node"]["api_key"] = str(uuid.uuid4())
    node.install()
    wait_until(lambda: bool(complaints(node)), 60, lambda: f"nothing was said: {node.kubectl.story(node.namespace)}")
    (line,) = complaints(node)
    assert line["level"] == "CRITICAL"
    assert "api_key" in line["event"] and "\n" not in line["event"]
    assert "exception" not in line
    assert node.values["node"]["api_key"] not in json.dumps(line)


@pytest.mark.contract("§3 no connection: retry")
def test_a_server_that_does_not_answer_is_named_in_the_launchers_log(troupe: Troupe) -> None:
    node = troupe.node(troupe.collaboration())
    node.values["node"]["port"] = 9  # discard: nobody listens
    node.install()
    wait_until(lambda: bool(complaints(node)), 60, lambda: f"nothing was said: {node.kubectl.story(node.namespace)}")
    line = complaints(node)[0]
    assert node.values["node"]["server_url"].removeprefix("http://") + ":9" in line["reason"]
    assert "exception" not in line
    assert node.status() == "offline"


def complaints(node: Node) -> list[dict[str, Any]]:
    """Lines of the launcher's log that are worse than information; of the last container that said anything."""
    for previous in (False, True):
        said = node.kubectl.ask("logs", LAUNCHER, *(["--previous"] if previous else []), namespace=node.namespace)
        lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        if bad := [line for line in lines if line["level"] not in {"DEBUG", "INFO"}]:
            return bad
    return []


def test_the_persistent_volume_of_a_database_goes_with_the_release(troupe: Troupe, kubectl: Kubectl) -> None:
    database: dict[str, Any] = {"label": "default", "type": "csv", "uri": "/srv/nothing.csv"}
    node = troupe.node(troupe.collaboration(), databases=[database])
    node.install()
    prefix = f"v6-node-{node.namespace}-"
    assert len(_volumes(kubectl, prefix)) == 1
    node.uninstall()
    wait_until(lambda: not _volumes(kubectl, prefix), 60, lambda: f"left: {_volumes(kubectl, prefix)}")


def _volumes(kubectl: Kubectl, prefix: str) -> list[str]:
    names = [each["metadata"]["name"] for each in kubectl.get("persistentvolumes")]
    return [name for name in names if name.startswith(prefix)]
