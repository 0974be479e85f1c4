"""Another way to the API server for one node's launcher."""

from tests.stage.kube import Kubectl
from tests.stage.node import Node


def detour(node: Node, kubectl: Kubectl, address: str, port: int) -> None:
    """Have a node's launcher reach the API server at another address, under a name that the server's certificate has.

    `kubernetes` is such a name wherever kubeadm's rules are followed, and inside the node's namespace a Service of that
    name wins over the real one.
    """
    meta = {"name": "kubernetes", "namespace": node.namespace}
    ports = [{"name": "https", "port": 443, "targetPort": port, "protocol": "TCP"}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": ports}}
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**meta, "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
    kubectl.apply(service, slice_)
    node.values["launcher"] = {
        "extraEnv": [
            {"name": "KUBERNETES_SERVICE_HOST", "value": "kubernetes"},
            {"name": "KUBERNETES_SERVICE_PORT", "value": "443"},
        ]
    }
    node.values["network"] = {"apiServer": {"ports": [443, 6443, port]}}
