"""The address plan: clusters side by side share nothing."""

from itertools import combinations

import pytest

from ci.cluster.places import INSIDE, INTERNET, INTERNET_HOST, RANGE, SLOTS, Addresses, Home, Machine

ALL = [Addresses(slot) for slot in range(SLOTS)]


@pytest.mark.parametrize("addresses", ALL)
def test_every_address_is_in_its_network_and_every_network_in_the_block(addresses: Addresses) -> None:
    for network in (addresses.pods, addresses.services, addresses.link):
        assert network.subnet_of(addresses.block)
        assert network.subnet_of(RANGE)
    assert addresses.host in addresses.link
    assert addresses.node in addresses.link
    assert addresses.host != addresses.node
    assert addresses.api_service in addresses.services
    assert addresses.dns_service in addresses.services


@pytest.mark.parametrize("addresses", ALL)
def test_pods_services_and_the_wire_do_not_overlap(addresses: Addresses) -> None:
    for one, other in combinations((addresses.pods, addresses.services, addresses.link, INTERNET), 2):
        assert not one.overlaps(other)


def test_clusters_in_two_slots_share_no_address_and_no_name() -> None:
    for one, other in combinations(ALL, 2):
        assert not one.block.overlaps(other.block)
        assert one.host_link != other.host_link
        assert one.cgroup != other.cgroup


def test_two_machines_of_a_cluster_share_no_address_no_folder_and_no_name() -> None:
    one, other = Home.of(nodes=2).machines(Addresses(1))
    assert one.address == Addresses(1).node
    for name in ("name", "address", "address6", "folder", "cgroup"):
        assert getattr(one, name) != getattr(other, name)


def test_the_first_cluster_is_where_documents_say() -> None:
    assert str(Addresses(0).host) == "198.19.240.1"
    assert str(INTERNET_HOST) == "203.0.113.10"


def test_names_fit_where_the_kernel_keeps_them() -> None:
    assert all(len(addresses.host_link) < 16 for addresses in ALL), "IFNAMSIZ"
    assert len(str(INSIDE / "cilium/run/cilium.sock")) < 108, "sun_path"
    assert len(str(INSIDE / Machine(ALL[0], 2).folder / "containerd.sock")) < 108, "sun_path"


def test_the_clusters_of_a_cache_have_a_folder_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert str(Home.of().kubeconfig) == "/somewhere/v6-node/cluster/kubeconfig"
    assert Home.every()[0] == Home.of()
    assert [str(home.root.name) for home in Home.every()] == [
        *("cluster", "cluster-no-policy"),
        *("cluster-2-nodes", "cluster-no-policy-2-nodes"),
        *("cluster-dra", "cluster-no-policy-dra"),
        *("cluster-2-nodes-dra", "cluster-no-policy-2-nodes-dra"),
    ]
