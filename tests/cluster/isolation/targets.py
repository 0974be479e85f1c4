"""What there is to try from an algorithm's pod on the cluster under test, for the diagnostics algorithm."""

from typing import Any

from launcher.waysout import BY_NAME, Surroundings
from tests.stage.kube import Kubectl
from tests.stage.node import INTERNET, Node

SECONDS = 3.0

Row = dict[str, Any]


def surroundings(node: Node, machine: str, unasked: tuple[str, int], egress_port: int | None = None) -> Surroundings:
    """Where things are that an algorithm of a node must not reach.

    Args:
        node: whose algorithm.
        machine: name of the Kubernetes node.
        unasked: host and port of a database that it does not ask for.
        egress_port: of the egress proxy, where there is one.
    """
    kubectl, server = node.kubectl, node.collaboration.federation.server
    (api,) = kubectl.get("endpointslices", namespace="default", selector="kubernetes.io/service-name=kubernetes")
    (launcher,) = node.pods("launcher")
    return Surroundings(
        proxy_port=80,
        server=((server.url.removeprefix("http://"), server.port),),
        api_service=((_service(kubectl, "default", "kubernetes"), 443),),
        api_address=((api["endpoints"][0]["addresses"][0], api["ports"][0]["port"]),),
        nameservers=(_service(kubectl, "kube-system", "kube-dns"),),
        machine=tuple(addresses(kubectl, machine)),
        launcher=tuple((each["ip"], 8081) for each in launcher["status"]["podIPs"]),
        outside=INTERNET,
        databases=(unasked,),
        egress_port=egress_port,
    )


def addresses(kubectl: Kubectl, machine: str) -> list[str]:
    """The addresses of a machine of the cluster."""
    found = kubectl.get("node", machine)["status"]["addresses"]
    return [each["address"] for each in found if each["type"] == "InternalIP"]


def probe(name: str, **target: Any) -> Row:
    """A way that the launcher has no target for."""
    way = BY_NAME[name]
    return {"name": name, "kind": way.kind, "expected": way.expected, "timeout": SECONDS, **target}


def _service(kubectl: Kubectl, namespace: str, name: str) -> str:
    return str(kubectl.get("service", name, namespace=namespace)["spec"]["clusterIP"])
