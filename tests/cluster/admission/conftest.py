"""A node with the admission policy, a run of it as its launcher would know it, and the judge."""

from dataclasses import replace
from typing import Any

import pytest

from launcher.jobcontext import Context
from tests.cluster.admission.judge import Judge
from tests.cluster.admission.template_authors import ANNOTATIONS, BOUNDS, LABELS
from tests.cluster.troupe import Troupe
from tests.stage.apisession import ApiSession
from tests.stage.kube import Kubectl
from tests.stage.node import Node
from tests.stage.waiting import wait_until
from tests.unit.changed_job import COMPANION, changed
from tests.unit.example_context import context, profile

DATABASES: list[dict[str, Any]] = [
    {"label": "default", "type": "folder", "claim": "v6-node-database-default", "uri": "."},
    {"label": "first", "type": "csv", "claim": "registry-data", "uri": "2026/first.csv"},
    {"label": "second", "type": "csv", "claim": "registry-data", "uri": "2026/second.csv"},
    {
        "label": "registry",
        "type": "sql",
        "uri": "postgresql://registry.example.org/a",
        "reach": [{"host": "registry.example.org", "port": 5432}],
    },
]
CAPS = {"cpu": "8", "memory": "16Gi", "ephemeralStorage": "20Gi", "activeDeadlineSeconds": 2592000}
RESOURCES = {
    "requests": {"cpu": "1", "memory": "1Gi"},
    "limits": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi", "example.org/device": 1},
}
BOUNDED = {**COMPANION, "resources": BOUNDS}
"""A container that is listed, with bounds within the caps."""


@pytest.fixture(scope="module")
def node(troupe: Troupe) -> Node:
    node = troupe.node(troupe.collaboration(), databases=DATABASES)
    node.values["admissionPolicy"] = {"enabled": True}
    node.values["jobs"] = {
        "caps": CAPS,
        "extraImages": [COMPANION["image"]],
        "resources": RESOURCES,
        "podLabels": LABELS,
        "podAnnotations": ANNOTATIONS,
    }
    node.values["imagePullSecrets"] = ["registry"]
    node.install()
    return node


@pytest.fixture(scope="module")
def facts(node: Node) -> Context:
    """A run of this node: what its launcher would know."""
    usual = context(
        profile=profile(
            resources=RESOURCES,
            extra_images=(COMPANION["image"],),
            pod_labels=LABELS,
            pod_annotations=ANNOTATIONS,
            caps={"cpu": CAPS["cpu"], "memory": CAPS["memory"], "ephemeral-storage": CAPS["ephemeralStorage"]},
        )
    )
    labels = {key: text for key, text in usual.run.labels.items() if key.startswith("v6-node")}
    return replace(usual, node=replace(usual.node, namespace=node.namespace), run=replace(usual.run, labels=labels))


@pytest.fixture(scope="module")
def session(kubectl: Kubectl, node: Node, tmp_path_factory: pytest.TempPathFactory) -> ApiSession:
    return ApiSession(kubectl, node.namespace, "v6-node-launcher", tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pods(kubectl: Kubectl, node: Node, tmp_path_factory: pytest.TempPathFactory) -> ApiSession:
    """An account that may make pods."""
    kubectl("create", "serviceaccount", "judge", namespace=node.namespace)
    kubectl("create", "role", "judge", "--verb=create", "--resource=pods", namespace=node.namespace)
    account = f"--serviceaccount={node.namespace}:judge"
    kubectl("create", "rolebinding", "judge", "--role=judge", account, namespace=node.namespace)
    return ApiSession(kubectl, node.namespace, "judge", tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def judge(session: ApiSession, pods: ApiSession, node: Node, facts: Context) -> Judge:
    """The API server, as soon as the policy acts, which takes a second or so after its creation."""
    judge = Judge(session, pods, node)
    bad = changed("spec.backoffLimit", 1, facts)
    wait_until(lambda: bool(judge.denies(bad)), 60, lambda: f"the policy does not act: {judge.says(bad)!r}")
    return judge
