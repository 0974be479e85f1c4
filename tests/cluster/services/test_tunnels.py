"""SSH tunnels: a database behind a real SSH server, whose key is pinned, reached by who asked for it."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ci.cluster import Cluster
from ci.images import Image
from tests import figures
from tests.cluster.servers import PASSWORD, START_SECONDS, answers
from tests.cluster.services.test_databases import AGES, QUERY
from tests.cluster.troupe import Troupe
from tests.stage.federation import Researcher
from tests.stage.kube import Kubectl
from tests.stage.node import Node
from tests.stage.outside import Outside
from tests.stage.waiting import wait_until

RECONNECT_SECONDS = 30


@dataclass(frozen=True)
class Key:
    """A key pair, as text."""

    private: str
    public: str

    @classmethod
    def new(cls) -> "Key":
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        return cls(private, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())


class Bastion:
    """An SSH server beyond the cluster.

    Args:
        outside: where it runs.
        address: which it listens at.
        port: likewise.
    """

    def __init__(self, outside: Outside, address: str, port: int) -> None:
        self._outside = outside
        self.address, self.port = address, port
        self.host_key, self.user_key = Key.new(), Key.new()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = self._outside.start(
            "ssh-server", self.address, str(self.port), self.host_key.private, self.user_key.public
        )
        wait_until(lambda: answers(self.address, self.port), START_SECONDS, self._outside.log)

    def stop(self) -> None:
        """End it, with the connections that it has."""
        assert self._process is not None
        self._outside.stop(self._process)


@pytest.fixture(scope="module")
def bastion(cluster: Cluster, outside: Outside, free_port: Callable[[], int]) -> Bastion:
    bastion = Bastion(outside, cluster.host_address, free_port())
    bastion.start()
    return bastion


@pytest.fixture(scope="module")
def hidden_port(outside: Outside, free_port: Callable[[], int]) -> int:
    """Of a PostgreSQL server that only its own machine reaches."""
    port = free_port()
    outside.start("postgres-server", "127.0.0.1", str(port), PASSWORD)
    wait_until(lambda: answers("127.0.0.1", port), START_SECONDS, outside.log)
    return port


def values(bastion: Bastion, hidden_port: int, fingerprint: str) -> dict[str, Any]:
    uri = f"postgresql://reader:{PASSWORD}@my-tunnel:8000/postgres"
    identity = {"username": "node", "key": bastion.user_key.private}
    ssh = {"host": bastion.address, "port": bastion.port, "fingerprint": fingerprint, "identity": identity}
    forward = {"bind": {"ip": "0.0.0.0", "port": 8000}, "dest": {"ip": "127.0.0.1", "port": hidden_port}}
    return {
        "databases": [{"label": "hidden", "type": "sql", "uri": uri, "reach": [{"host": "my-tunnel", "port": 8000}]}],
        "ssh-tunnels": [{"hostname": "my-tunnel", "ssh": ssh, "tunnel": forward}],
    }


@pytest.fixture(scope="module")
def node(troupe: Troupe, bastion: Bastion, hidden_port: int) -> Node:
    return troupe.node(troupe.collaboration(), **values(bastion, hidden_port, bastion.host_key.public)).start()


def is_open(node: Node) -> bool:
    (pod,) = node.pods("tunnel")
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


def read(researcher: Researcher, images: dict[str, Image]) -> Any:
    asked = [{"label": "hidden", "query": QUERY}]
    return researcher.send(images["average"].ref, "partial_average", column="age", databases=asked).wait().result()


@pytest.mark.contract("§14 ssh-tunnels")
def test_an_algorithm_reads_a_database_behind_a_tunnel(
    node: Node, researcher: Researcher, images: dict[str, Image]
) -> None:
    wait_until(lambda: is_open(node), 60, lambda: node.kubectl.story(node.namespace))
    assert read(researcher, images) == AGES


def test_an_algorithm_that_did_not_ask_reaches_no_tunnel(
    node: Node, researcher: Researcher, images: dict[str, Image], kubectl: Kubectl
) -> None:
    service = kubectl.get("service", "v6-node-tunnel-my-tunnel", namespace=node.namespace)["spec"]["clusterIP"]
    (pod,) = node.pods("tunnel")
    targets = [{"host": host, "port": 8000} for host in (service, pod["status"]["podIP"])]
    outcomes = {
        tuple(asked): [
            each["outcome"]
            for each in researcher.send(images["behave"].ref, "reach", targets, databases=asked).wait().result()
        ]
        for asked in ([], ["hidden"])
    }
    assert outcomes == {(): ["timed out"] * 2, ("hidden",): ["connected"] * 2}


def test_a_tunnel_comes_back_after_the_server_was_away(
    node: Node, researcher: Researcher, images: dict[str, Image], bastion: Bastion
) -> None:
    bastion.stop()
    wait_until(lambda: not is_open(node), RECONNECT_SECONDS, lambda: "the tunnel stays ready without a server")
    bastion.start()
    start = time.monotonic()
    wait_until(lambda: is_open(node), RECONNECT_SECONDS, lambda: node.kubectl.story(node.namespace))
    figures.note("SSH tunnel", f"open again {time.monotonic() - start:.0f} s after the server")
    (pod,) = node.pods("tunnel")
    assert [each["restartCount"] for each in pod["status"]["containerStatuses"]] == [0]
    assert read(researcher, images) == AGES


@pytest.mark.contract("§14 fingerprint of an SSH server")
def test_a_server_with_another_key_is_not_trusted(
    troupe: Troupe, bastion: Bastion, hidden_port: int, kubectl: Kubectl
) -> None:
    node = troupe.node(troupe.collaboration(), **values(bastion, hidden_port, Key.new().public))
    node.install()

    def log() -> str:
        return "".join(
            kubectl("logs", pod["metadata"]["name"], namespace=node.namespace)
            for pod in node.pods("tunnel")
            if any(each["state"].get("running") for each in pod["status"].get("containerStatuses", []))
        )

    wait_until(lambda: "Host key verification failed" in log(), 60, lambda: node.kubectl.story(node.namespace))
    assert not is_open(node)
