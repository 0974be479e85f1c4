"""A pod has no moment without policy: what sends its first packet at once, and goes on, gets nothing through."""

import json
import secrets
from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest

from ci.images import Image
from tests import figures
from tests.cluster.troupe import Troupe
from tests.stage.kube import Kubectl
from tests.stage.node import INTERNET, Node, owner_of_this_process
from tests.stage.waiting import wait_until

pytestmark = pytest.mark.slow  # a hundred pods

PODS = 50
MILLISECONDS = 5000
SOON = 5000  # microseconds
ENOUGH = 0.8
ALGORITHM = {"v6-node.vantage6.ai/role": "algorithm"}


@pytest.fixture(scope="module")
def node(troupe: Troupe) -> Node:
    """Its policies are what matters; that it is online does not."""
    node = troupe.node(troupe.collaboration())
    node.install()
    return node


@pytest.fixture(scope="module")
def elsewhere(kubectl: Kubectl) -> Iterator[str]:
    namespace = f"v6-elsewhere-{secrets.token_hex(3)}"
    kubectl.create_namespace(namespace, owner_of_this_process())
    yield namespace
    kubectl("delete", "namespace", namespace, "--wait=false")


def pod(number: int, image: str, labels: dict[str, str]) -> dict[str, Any]:
    container = {
        "name": "first",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": [INTERNET[0], "443", str(MILLISECONDS)],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    secure = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"first-{number}", "labels": {"test": "first-packet", **labels}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": secure,
            "containers": [container],
        },
    }


def outcomes(kubectl: Kubectl, namespace: str, image: str, labels: dict[str, str]) -> list[dict[str, Any]]:
    """What each of the pods says of itself."""
    kubectl.apply(*(pod(number, image, labels) for number in range(PODS)), namespace=namespace)

    def ended() -> list[dict[str, Any]]:
        pods = kubectl.get("pods", namespace=namespace, selector="test=first-packet")
        return [pod for pod in pods if pod["status"]["phase"] in {"Succeeded", "Failed"}]

    wait_until(lambda: len(ended()) == PODS, 300, lambda: f"{len(ended())} of {PODS} pods ended")
    said = kubectl(
        "logs", "--selector=test=first-packet", "--tail=-1", f"--max-log-requests={PODS}", namespace=namespace
    )
    kubectl("delete", "pods", "--selector=test=first-packet", "--wait=false", namespace=namespace)
    return [json.loads(line) for line in said.splitlines()]


def test_nothing_gets_through_before_policies_act(
    kubectl: Kubectl, node: Node, elsewhere: str, images: dict[str, Image]
) -> None:
    image = images["firstpacket"].ref
    free = outcomes(kubectl, elsewhere, image, {})
    held = outcomes(kubectl, node.namespace, image, ALGORITHM)
    through = [sum(each["through"] is not None for each in pods) for pods in (held, free)]
    first = sorted(each["first"] for each in held + free)
    soon = sum(each <= SOON for each in first)
    figures.note(
        "the first packet",
        f"{through[0]} of {len(held)} algorithm pods got one through in {MILLISECONDS / 1000:.0f} s, "
        f"{through[1]} of {len(free)} free ones; sent {median(first) / 1000:.1f} ms after the program began (median; "
        f"{soon} of {len(first)} within {SOON / 1000:.0f} ms)",
    )
    assert (len(held), len(free)) == (PODS, PODS)
    assert through == [0, PODS]
    # On a busy machine some programs are begun and not let go on at once; those prove less.
    assert soon >= ENOUGH * len(first)
