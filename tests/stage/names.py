"""Names in the cluster's DNS: a Service without pods has whatever addresses its EndpointSlice says."""

from tests.stage.kube import Kubectl


class Names:
    """Makes names and changes their addresses.

    Args:
        kubectl: the cluster.
        namespace: where the Services are.
    """

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl = kubectl
        self._namespace = namespace

    def set(self, name: str, *addresses: str) -> str:
        """Let a name have these addresses (IPv4), and return it in full. The DNS follows within its cache's time."""
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"clusterIP": "None", "ports": [{"name": "any", "port": 1}]},
        }
        endpoints = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": "any", "port": 1, "protocol": "TCP"}],
            "endpoints": [{"addresses": [address]} for address in addresses],
        }
        self._kubectl.apply(service, endpoints, namespace=self._namespace)
        return f"{name}.{self._namespace}.svc.cluster.local"
