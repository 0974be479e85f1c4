"""Servers to connect to: PostgreSQL in the cluster and beyond it, names for them, and a registry of images."""

import random
import secrets
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ci.cluster import Cluster
from ci.images import Image
from tests.stage.kube import STAGE_LABEL, Kubectl
from tests.stage.names import Names
from tests.stage.node import owner_of_this_process
from tests.stage.outside import Outside
from tests.stage.registry import Registry, pod
from tests.stage.waiting import wait_until

PASSWORD = "correct-horse!"
START_SECONDS = 60


@pytest.fixture(scope="session")
def outside(images: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """Servers beyond the cluster."""
    with Outside(images["services"], tmp_path_factory.mktemp("services") / "root") as outside:
        yield outside


@pytest.fixture(scope="session")
def free_port(cluster: Cluster) -> Callable[[], int]:
    def find() -> int:
        with socket.create_server((cluster.host_address, 0)) as server:
            return int(server.getsockname()[1])

    return find


@pytest.fixture(scope="session")
def postgres(cluster: Cluster, outside: Outside, free_port: Callable[[], int]) -> Callable[[], int]:
    """Starts a PostgreSQL server beyond the cluster, and returns its port at the cluster's host address."""

    def start() -> int:
        port = free_port()
        outside.start("postgres-server", cluster.host_address, str(port), PASSWORD)
        wait_until(lambda: answers(cluster.host_address, port), START_SECONDS, outside.log)
        return port

    return start


def database(label: str, host: str, port: int, **reach: Any) -> dict[str, Any]:
    """A node's entry for a PostgreSQL server of this module; `reach` says further where it is."""
    uri = f"postgresql://reader:{PASSWORD}@{host}:{port}/postgres"
    return {"label": label, "type": "sql", "uri": uri, "reach": [{"host": host, "port": port, **reach}]}


def answers(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def there(kubectl: Kubectl, images: dict[str, Image]) -> Iterator[str]:
    """A namespace that belongs to no node, with a PostgreSQL server behind a Service, on another port than it."""
    namespace = f"v6-services-{secrets.token_hex(3)}"
    kubectl.create_namespace(namespace, owner_of_this_process())
    kubectl.apply(_pod(images["services"].ref), _service(), namespace=namespace)
    kubectl("wait", "--for=condition=Ready", "pod/postgres", "--timeout=120s", namespace=namespace, seconds=130)
    yield namespace
    kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture(scope="session")
def names(kubectl: Kubectl, there: str) -> Names:
    """Names in the cluster's DNS, for addresses as a test likes."""
    return Names(kubectl, there)


@pytest.fixture(scope="session")
def registry(kubectl: Kubectl, images: dict[str, Image]) -> Iterator[Registry]:
    """One that containerd pulls from."""
    namespace, port = f"v6-registry-{secrets.token_hex(3)}", random.randrange(20000, 29000)
    labels = {STAGE_LABEL: owner_of_this_process(), "pod-security.kubernetes.io/enforce": "privileged"}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
    kubectl.apply(*pod("registry", images["behave"].ref, port), namespace=namespace)
    kubectl("wait", "--for=condition=Ready", "pod/registry", "--timeout=60s", namespace=namespace)
    address = kubectl.get("pod", "registry", namespace=namespace)["status"]["hostIP"]
    yield Registry(address, port)
    kubectl("delete", "namespace", namespace, "--wait=false")


def _pod(image: str) -> dict[str, object]:
    secure = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "postgres", "labels": {"app": "postgres", STAGE_LABEL: "services"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "postgres",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["postgres-server", "*", "6432", PASSWORD],
                    "readinessProbe": {"tcpSocket": {"port": 6432}, "periodSeconds": 1},
                    "securityContext": secure,
                }
            ],
        },
    }


def _service() -> dict[str, object]:
    ports = [{"port": 5432, "targetPort": 6432}]
    spec = {"selector": {"app": "postgres"}, "ports": ports, "ipFamilyPolicy": "PreferDualStack"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "postgres"}, "spec": spec}
