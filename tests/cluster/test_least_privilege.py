"""Our own pods: what they may ask of the API server, and where they may connect to."""

import re
from pathlib import Path
from typing import Any

import pytest

from ci.images import Image
from tests.cluster.troupe import Troupe
from tests.stage.kube import Kubectl
from tests.stage.names import Names
from tests.stage.node import INTERNET, Node

PAGE = Path(__file__).parents[2] / "docs" / "isolation.md"
ACCOUNTS = ["v6-node-launcher", "v6-node-proxy", "v6-node-algorithm"]
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


@pytest.fixture(scope="module")
def node(troupe: Troupe, names: Names) -> Node:
    """A node with everything that has pods or rights of its own."""
    host = names.set("rights", INTERNET[0])
    database = {"label": "registry", "type": "other", "uri": "x", "reach": [{"host": host, "port": 443}]}
    return troupe.node(troupe.collaboration(), databases=[database], whitelist={"domains": ["example.org"]}).start()


def rights(kubectl: Kubectl, namespace: str, account: str) -> list[str]:
    """What an account may do in its namespace, a line for each kind of object, without what everybody may do."""

    def listed(user: str, *groups: str) -> set[str]:
        who = [f"--as={user}", *(f"--as-group={group}" for group in groups)]
        lines = kubectl("auth", "can-i", "--list", "--no-headers", *who, namespace=namespace).splitlines()
        return {" ".join(line.split()) for line in lines}

    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    own = listed(f"system:serviceaccount:{namespace}:{account}", *groups)
    everybody = listed(f"system:serviceaccount:{namespace}:nobody-in-particular", *groups)
    return sorted(own - everybody)


def documented(account: str) -> list[str]:
    found = re.search(rf"^### `{account}`\n\n(.*?)(?=^#|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{PAGE} has no section on {account}"
    return sorted(" ".join(line.split()) for line in re.findall(r"^    (.+)$", found[1], re.MULTILINE))


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_may_do_exactly_what_the_page_lists(node: Node, kubectl: Kubectl, account: str) -> None:
    assert rights(kubectl, node.namespace, account) == documented(account)


@pytest.mark.parametrize("role", ["proxy", "egress"])
def test_a_pod_that_needs_no_token_has_none(node: Node, role: str) -> None:
    (pod,) = node.pods(role)
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert "serviceAccountToken" not in str(pod["spec"]["volumes"])


def test_the_launchers_token_expires(node: Node) -> None:
    (pod,) = node.pods("launcher")
    sources = [source for volume in pod["spec"]["volumes"] for source in volume.get("projected", {}).get("sources", [])]
    (token,) = [source["serviceAccountToken"] for source in sources if "serviceAccountToken" in source]
    assert token["expirationSeconds"] <= 3607


def test_no_secret_can_be_read(node: Node, kubectl: Kubectl) -> None:
    for account in ACCOUNTS:
        user = f"--as=system:serviceaccount:{node.namespace}:{account}"
        for verb in ("get", "list", "watch"):
            assert kubectl.ask("auth", "can-i", verb, "secrets", user, namespace=node.namespace) == "no"


# Where each role's pods may connect to: a pod with its labels, in its namespace, is held by its policies.
REACH = {
    "launcher": {"server", "API server", "DNS"},
    "proxy": {"server", "launcher", "DNS"},
    "egress": {"internet on a listed port", "DNS"},
    "test": {"launcher", "DNS"},
}


@pytest.mark.parametrize("role", REACH)
def test_our_own_pods_reach_what_they_need_and_nothing_else(
    node: Node, kubectl: Kubectl, images: dict[str, Image], role: str
) -> None:
    targets = _targets(node, kubectl)
    name = f"like-{role}"
    kubectl.apply(_pod(name, images["behave"].ref, role), namespace=node.namespace)
    kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s", namespace=node.namespace)
    code = f"import json; from behave.surroundings import reach; print(json.dumps(reach({list(targets.values())!r})))"
    said = kubectl("exec", name, "--", "python", "-c", code, namespace=node.namespace)
    kubectl("delete", "pod", name, "--wait=false", namespace=node.namespace)
    outcomes = [line.rpartition(" ")[2] for line in said.splitlines()[: len(targets)]]
    reached = {what for what, outcome in zip(targets, outcomes, strict=True) if outcome == "connected"}
    assert reached == REACH[role]


def _targets(node: Node, kubectl: Kubectl) -> dict[str, dict[str, Any]]:
    server = node.collaboration.federation.server
    (launcher,) = node.pods("launcher")
    (proxy,) = node.pods("proxy")
    api = kubectl.get("service", "kubernetes", namespace="default")["spec"]["clusterIP"]
    dns = kubectl.get("service", "kube-dns", namespace="kube-system")["spec"]["clusterIP"]
    pairs = {
        "server": (server.url.removeprefix("http://"), server.port),
        "API server": (api, 443),
        "DNS": (dns, 53),
        "internet on a listed port": (INTERNET[0], 80),
        "internet on another port": (INTERNET[0], 53),
        "launcher": (launcher["status"]["podIP"], 8081),
        "proxy": (proxy["status"]["podIP"], 8080),
        "metadata": ("169.254.169.254", 80),
    }
    return {what: {"host": host, "port": port, "timeout": 3} for what, (host, port) in pairs.items()}


def _pod(name: str, image: str, role: str) -> dict[str, Any]:
    secure = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {
        "name": "it",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "300"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {"securityContext": secure, "automountServiceAccountToken": False, "containers": [container]}
    labels = {"v6-node.vantage6.ai/role": role}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {**spec, "terminationGracePeriodSeconds": 0},
    }
