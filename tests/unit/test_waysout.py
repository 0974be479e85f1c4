"""The list of ways out, and what of it is tried where."""

from dataclasses import replace

from launcher.surroundings import nameservers
from launcher.waysout import BY_NAME, OPEN, WAYS, Surroundings, probes

EVERYTHING = Surroundings(
    proxy_port=80,
    server=(("203.0.113.5", 443),),
    api_service=(("10.96.0.1", 443),),
    api_address=(("192.0.2.1", 6443),),
    nameservers=("10.96.0.10",),
    machine=("192.0.2.1", "2001:db8::1"),
    launcher=(("10.1.0.3", 8081),),
    outside=("203.0.113.10", "2001:db8::10"),
    databases=(("203.0.113.20", 5432),),
    egress_port=3128,
)


def test_names_are_different() -> None:
    assert len(BY_NAME) == len(WAYS) > 20


def test_every_way_that_is_not_arranged_is_tried_where_everything_is_known() -> None:
    tried = {probe["name"] for probe in probes(EVERYTHING, 2)}
    assert tried == {way.name for way in WAYS if not way.arranged}


def test_with_nothing_known_what_every_pod_has_is_tried() -> None:
    tried = {probe["name"] for probe in probes(Surroundings(80), 2)}
    assert tried >= {"proxy", "metadata", "lookup", "api-token", "variables", "root-file-system", "other-runs-files"}


def test_only_the_proxies_and_what_was_granted_are_expected_to_be_open() -> None:
    assert [way.name for way in WAYS if way.expected == OPEN] == [
        "proxy",
        "egress-proxy",
        "whitelisted",
        "own-database",
    ]


def test_the_egress_proxy_is_tried_only_where_there_is_one() -> None:
    tried = {probe["name"] for probe in probes(replace(EVERYTHING, egress_port=None), 2)}
    assert not tried & {"egress-proxy", "not-whitelisted"}


def test_no_way_to_the_outside_or_to_other_pods_can_be_accepted() -> None:
    assert {way.name for way in WAYS if way.acceptable} == {"node-address", "kubelet", "node-port"}


def test_controls_are_what_the_launcher_itself_reaches() -> None:
    assert set(EVERYTHING.controls) == {"vantage6-server", "api-service", "api-address", "cluster-dns-tcp"}
    assert Surroundings(80).controls == {}


def test_nameservers_of_a_resolver_file() -> None:
    text = "search a.svc\nnameserver 10.96.0.10\n# nameserver 1.2.3.4\nnameserver fd00::a # second\nnameserver\n"
    assert nameservers(text) == ("10.96.0.10", "fd00::a")
