"""The whitelist: what is on it is reached through the egress proxy, and nothing else."""

from typing import Any

import pytest

from ci.images import Image
from tests.cluster.troupe import Troupe
from tests.stage.federation import Researcher
from tests.stage.kube import Kubectl
from tests.stage.names import Names
from tests.stage.node import INTERNET, Node

THERE = INTERNET[0]


@pytest.fixture(scope="module")
def site(names: Names) -> str:
    return names.set("site", THERE)


@pytest.fixture(scope="module")
def other_site(names: Names) -> str:
    return names.set("other-site", THERE)


@pytest.fixture(scope="module")
def node(troupe: Troupe, site: str) -> Node:
    whitelist = {"domains": [site], "ports": [80], "destinations": [{"host": THERE, "port": 443}]}
    return troupe.node(troupe.collaboration(), whitelist=whitelist).start()


@pytest.fixture(scope="module")
def observed(
    node: Node, researcher: Researcher, images: dict[str, Image], site: str, other_site: str
) -> dict[tuple[str, int], str]:
    """What became of connections through the egress proxy, by host and port."""
    api = node.kubectl.get("service", "kubernetes", namespace="default")["spec"]["clusterIP"]
    (launcher,) = node.pods("launcher")
    hosts = [site, other_site, THERE, api, "169.254.169.254", "127.0.0.1", launcher["status"]["podIP"]]
    ways: list[dict[str, Any]] = [
        {"name": "via", "kind": "via", "host": host, "port": port, "proxy": ["squid", 3128], "expected": "shut"}
        for host in hosts
        for port in (80, 443, 8081)
    ]
    rows = researcher.send(images["v6-node-diagnostics"].ref, "probe", ways).wait().result()
    return {(way["host"], way["port"]): row["observed"] for way, row in zip(ways, rows, strict=True)}


@pytest.mark.contract("§14 whitelist")
def test_what_is_on_the_list_is_reached_and_nothing_else(observed: dict[tuple[str, int], str], site: str) -> None:
    listed = {(site, 80), (THERE, 443)}
    assert observed == {pair: "connected" if pair in listed else "forbidden" for pair in observed}


@pytest.mark.contract("§14 whitelist")
@pytest.mark.contract("§9 HTTP_PROXY")
def test_programs_find_the_egress_proxy_by_their_environment(
    researcher: Researcher, images: dict[str, Image], site: str, other_site: str
) -> None:
    image = images["behave"].ref
    allowed, denied = (researcher.send(image, "fetch", f"http://{host}/") for host in (site, other_site))
    assert allowed.wait().result() == "stand-in internet\n"
    assert denied.wait().result() == "HTTP 403"


def test_past_the_egress_proxy_there_is_no_way(researcher: Researcher, images: dict[str, Image]) -> None:
    targets = [{"host": THERE, "port": port} for port in (80, 443)]
    tried = researcher.send(images["behave"].ref, "reach", targets).wait().result()
    assert [each["outcome"] for each in tried] == ["timed out"] * 2


def test_a_name_that_is_not_on_the_list_is_not_looked_up(
    node: Node, kubectl: Kubectl, observed: dict[tuple[str, int], str], other_site: str
) -> None:
    """Squid notes for each request where it went; a name that it looked up would have an address there."""
    del observed
    (pod,) = node.pods("egress")
    log = kubectl("logs", pod["metadata"]["name"], namespace=node.namespace)
    lines = [line for line in log.splitlines() if f" {other_site}:" in line]
    assert len(lines) == 3
    assert all("TCP_DENIED/403" in line and "HIER_NONE/-" in line for line in lines)


@pytest.mark.contract("§9 HTTP_PROXY")
def test_without_a_list_nothing_is_installed(troupe: Troupe, images: dict[str, Image]) -> None:
    node = troupe.node(troupe.collaboration()).start()
    assert node.pods("egress") == []
    names = node.collaboration.researcher().send(images["behave"].ref, "environment").wait().result()
    assert not [name for name in names if name.lower() in {"http_proxy", "https_proxy"}]
