"""What an algorithm reaches: its node's proxy, and nothing else. Each shut way is shown open to an unrestricted pod."""

import os
from typing import Any

import pytest

from ci.images import Image
from tests.cluster.troupe import Troupe
from tests.stage.federation import Collaboration, Researcher
from tests.stage.kube import Kubectl
from tests.stage.node import Node
from tests.stage.stagehand import Stagehand

# The local cluster's stand-in for the internet; elsewhere an address that pods there really reach.
INTERNET = os.environ.get("V6_NODE_TEST_INTERNET", "203.0.113.10:80")
SECONDS = 3


@pytest.fixture(scope="module")
def study(troupe: Troupe) -> Collaboration:
    study = troupe.collaboration(2)
    for account in study.nodes:
        troupe.node(study, account).install()
    for node in troupe.nodes:
        node.wait_online()
    return study


@pytest.fixture(scope="module")
def researcher(study: Collaboration) -> Researcher:
    return study.researcher()


@pytest.fixture(scope="module")
def here(troupe: Troupe, study: Collaboration) -> Node:
    assert troupe.nodes[0].collaboration is study
    return troupe.nodes[0]


@pytest.fixture(scope="module")
def other(troupe: Troupe, study: Collaboration) -> Node:
    assert troupe.nodes[1].collaboration is study
    return troupe.nodes[1]


def reach(researcher: Researcher, node: Node, images: dict[str, Image], targets: list[dict[str, Any]]) -> list[str]:
    """How connections from an algorithm on this node ended."""
    task = researcher.send(images["behave"].ref, "reach", targets, to=[node.account.organization])
    return [each["outcome"] for each in task.wait(180).result()]


def target(host: str, port: int | str) -> dict[str, Any]:
    return {"host": host, "port": int(port), "timeout": SECONDS}


def test_an_algorithm_reaches_its_proxy_by_name(researcher: Researcher, here: Node, images: dict[str, Image]) -> None:
    assert reach(researcher, here, images, [target("proxyserver", 80)]) == ["connected"]


def test_an_algorithm_reaches_nothing_that_an_unrestricted_pod_reaches(
    researcher: Researcher, here: Node, images: dict[str, Image], stagehand: Stagehand, kubectl: Kubectl
) -> None:
    api = kubectl.get("service", "kubernetes", namespace="default")["spec"]["clusterIP"]
    (api_slice,) = kubectl.get("endpointslices", namespace="default", selector="kubernetes.io/service-name=kubernetes")
    api_address = api_slice["endpoints"][0]["addresses"][0]
    machine = kubectl.get("node", stagehand.machine)["status"]["addresses"]
    address = next(each["address"] for each in machine if each["type"] == "InternalIP")
    dns = kubectl.get("service", "kube-dns", namespace="kube-system")["spec"]["clusterIP"]
    server = here.collaboration.federation.server
    targets = {
        "the internet": target(*INTERNET.rsplit(":", 1)),
        "the API server, as a Service": target(api, 443),
        "the API server, by its address": target(api_address, api_slice["ports"][0]["port"]),
        "the cluster's DNS": target(dns, 53),
        "the kubelet": target(address, 10250),
        "the vantage6 server": target(server.url.removeprefix("http://"), server.port),
    }
    control = dict(zip(targets, stagehand.reach(list(targets.values())), strict=True))
    assert control == dict.fromkeys(targets, "connected"), "an unrestricted pod has to get there, or this shows nothing"
    outcome = dict(zip(targets, reach(researcher, here, images, list(targets.values())), strict=True))
    assert outcome == dict.fromkeys(targets, "timed out")


def test_an_algorithm_resolves_no_name(
    researcher: Researcher, here: Node, images: dict[str, Image], stagehand: Stagehand
) -> None:
    names = ["kubernetes.default.svc.cluster.local", f"v6-node-proxy.{here.namespace}.svc.cluster.local"]
    targets = [target(names[0], 443), target(names[1], 80)]
    assert "unresolved" not in stagehand.reach(targets)
    assert reach(researcher, here, images, targets) == ["unresolved"] * 2


def test_an_algorithm_does_not_reach_the_pods_of_another_node(
    researcher: Researcher, here: Node, other: Node, images: dict[str, Image], kubectl: Kubectl
) -> None:
    (proxy,) = other.pods("proxy")
    service = kubectl.get("service", "v6-node-proxy", namespace=other.namespace)["spec"]["clusterIP"]
    proxies = [target(service, 80), target(proxy["status"]["podIP"], 8080)]
    assert reach(researcher, other, images, proxies) == ["connected"] * 2, "its own algorithms do reach it"
    assert reach(researcher, here, images, proxies) == ["timed out"] * 2


def test_an_algorithm_does_not_reach_the_launcher(
    researcher: Researcher, here: Node, images: dict[str, Image], kubectl: Kubectl
) -> None:
    (launcher,) = here.pods("launcher")
    address = launcher["status"]["podIP"]
    # The control is the launcher's own container: the port does listen on that address.
    code = f"import socket; socket.create_connection(({address!r}, 8081), timeout=3)"
    kubectl("exec", launcher["metadata"]["name"], "--", "python", "-c", code, namespace=here.namespace)
    assert reach(researcher, here, images, [target(address, 8081)]) == ["timed out"]


def test_an_algorithm_has_no_token_of_the_cluster_and_no_address_of_its_services(
    researcher: Researcher, here: Node, images: dict[str, Image]
) -> None:
    send, to = researcher.send, [here.account.organization]
    found = send(images["behave"].ref, "files", "/var/run", to=to).wait().result()
    assert not [each["path"] for each in found if "secrets" in each["path"]]
    names = send(images["behave"].ref, "environment", to=to).wait().result()
    assert not [name for name in names if "_SERVICE_" in name and not name.startswith("KUBERNETES_")]
