"""The gate on a cluster that enforces nothing, and how long it takes where all is well."""

import time
from collections.abc import Iterator
from statistics import median

import pytest

from ci import cluster as local_cluster
from ci import images as image_builder
from ci.cluster import Cluster, lifecycle
from tests import figures
from tests.cluster.examining import examine, left_by_doctors
from tests.cluster.isolation.test_gate import REGISTRY
from tests.cluster.troupe import Troupe
from tests.stage import StageError
from tests.stage.federation import Federation
from tests.stage.kube import Kubectl
from tests.stage.node import Node
from tests.stage.server import Server
from tests.stage.waiting import wait_until

pytestmark = pytest.mark.slow  # a cluster of its own, and ten installations

INSTALLATIONS = 10
MOST, MEDIAN, RESTART = 20.0, 12.0, 5.0  # seconds


@pytest.fixture(scope="module")
def lawless(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster whose network plugin ignores NetworkPolicies."""
    if not cluster.local:
        pytest.skip("KUBECONFIG's cluster has one network plugin; a second one is booted beside local clusters only")
    found = local_cluster.ensure(enforcing=False)
    yield found
    assert found.use is not None and found.home is not None
    found.use.close()
    lifecycle.down(found.home)


def test_a_node_refuses_to_go_online_where_nothing_is_enforced(
    lawless: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = Server(tmp_path_factory.mktemp("server"), lawless.host_address)
    server.start()
    images = image_builder.ensure_loaded(lawless, ["v6-node", "v6-node-diagnostics"])
    kubectl = Kubectl(lawless.kubeconfig)
    troupe = Troupe(kubectl, Federation(server), images, tmp_path_factory.mktemp("values"))
    try:
        node = troupe.node(troupe.collaboration())
        node.install()

        wait_until(lambda: bool(_failures(node)), 120, lambda: kubectl.story(node.namespace))
        reason = _failures(node)[0]
        for way in ("internet-ipv4", "internet-ipv6", "api-service", "cluster-dns-udp", "vantage6-server", "kubelet"):
            assert f"({way}, " in reason
        assert "Algorithms reach what they must not" in reason
        events = kubectl.get("events", namespace=node.namespace)
        assert [each["message"][:200] for each in events if each["reason"] == "IsolationFailed"] == [reason[:200]]
        time.sleep(10)
        assert node.status() == "offline"

        found = examine(lawless.kubeconfig, node.values, tmp_path_factory.mktemp("doctor"), "v6-not-there-yet")
        assert found.code == 1 and found.failing.keys() == {"network policies"}
        assert "Cilium" in found.failing["network policies"]
        assert left_by_doctors(kubectl) == []
    finally:
        troupe.leave()
        server.stop()


def _failures(node: Node) -> list[str]:
    """Why checks failed, in the launcher's words."""
    try:
        said = node.launcher_events()
    except StageError:  # it has no log yet
        return []
    return [each["reason"] for each in said if each["event"].startswith("the isolation ") and each["level"] == "ERROR"]


def test_a_fresh_node_passes_its_gate_soon_and_a_restarted_one_at_once(troupe: Troupe) -> None:
    """With a database, so that both kinds of algorithm are tried; the images are present."""
    gates, installs, restarts = [], [], []
    study = troupe.collaboration(INSTALLATIONS)
    for account in study.nodes:
        node = troupe.node(study, account, databases=[REGISTRY])
        start = time.monotonic()
        node.install()
        node.wait_online()
        installs.append(time.monotonic() - start)
        gates.append(_gate_seconds(node))
        node.kill_launcher()
        start = time.monotonic()
        node.wait_offline(30)
        node.wait_online(30)
        restarts.append(time.monotonic() - start)
        node.uninstall("--no-hooks")
    figures.note(
        "from installation to online",
        f"gate: median {median(gates):.1f} s, most {max(gates):.1f} s; helm install to online: median "
        f"{median(installs):.1f} s, most {max(installs):.1f} s; after SIGKILL: most {max(restarts):.1f} s "
        f"({INSTALLATIONS} installations)",
    )
    assert max(gates) <= MOST
    assert median(gates) <= MEDIAN
    assert max(restarts) <= RESTART


def _gate_seconds(node: Node) -> float:
    """What the launcher's check took, by its log."""
    (passed,) = [each for each in node.launcher_events() if each["event"] == "the isolation holds"]
    return float(passed["seconds"])
