"""What names are looked up for an algorithm, and which addresses the policies let through."""

import asyncio
import socket
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.config.kubernetes import Destination
from launcher.destinations import Destinations, Unresolved, egress_rules
from launcher.jobcontext import HostAlias
from launcher.runs import RequestedDatabase
from tests.unit.test_algorithmenv import TREE, NodeConfig
from tests.unit.test_taskfiles import RUN

NAMES = "v6-node-database-registry-names"
ASKING = replace(RUN, databases=(RequestedDatabase("Registry"),))


class Names:
    """A DNS."""

    def __init__(self, **names):
        self.names = {"v6-node-proxy": ("10.96.0.7", "fd97::7"), "v6-node-egress": ("10.96.0.8",), **names}

    async def __call__(self, name):
        await asyncio.sleep(0)
        found = self.names.get(name)
        if isinstance(found, OSError):
            raise found
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found


class FakeCluster:
    def __init__(self):
        self.jobs = []
        self.applied = []
        self.specs = {NAMES: {}}

    @property
    def policies(self):
        return [{"metadata": {"name": name}, "spec": spec} for name, spec in self.specs.items()]

    async def apply_egress(self, policy, rules):
        await asyncio.sleep(0)
        self.applied.append((policy, rules))
        self.specs[policy]["egress"] = rules


def config(reach, **kubernetes):
    databases = [{"label": "patients", "claim": "p"}, {"label": "scans", "claim": "s"}]
    tree = {**TREE["kubernetes"], "databases": [*databases, {"label": "Registry", "reach": reach}], **kubernetes}
    return NodeConfig.model_validate({**TREE, "kubernetes": tree})


def named(host="registry.example", **keys):
    return {"host": host, "port": 5432, "policy": NAMES, **keys}


def job_with(**aliases):
    lines = [{"ip": ip, "hostnames": [host]} for host, ips in aliases.items() for ip in ips]
    return {"spec": {"template": {"spec": {"hostAliases": lines}}}}


def blocks(rules):
    return [block["ipBlock"]["cidr"] for rule in rules for block in rule["to"]]


async def test_every_address_of_a_name_becomes_a_line():
    found = await Destinations(config([]), FakeCluster(), Names()).open(RUN)
    assert found == (HostAlias("10.96.0.7", ("proxyserver",)), HostAlias("fd97::7", ("proxyserver",)))


async def test_the_egress_proxy_has_a_name_where_there_is_one():
    egress = {"service": "v6-node-egress", "port": 3128}
    found = await Destinations(config([], egress=egress), FakeCluster(), Names()).own_aliases()
    assert HostAlias("10.96.0.8", ("squid",)) in found


async def test_a_name_is_let_through_at_all_its_addresses():
    cluster = FakeCluster()
    names = Names(**{"registry.example": ("203.0.113.5", "2001:db8::5")})
    found = await Destinations(config([named()]), cluster, names).open(ASKING)
    assert [alias.ip for alias in found if alias.hostnames == ("registry.example",)] == ["203.0.113.5", "2001:db8::5"]
    ((policy, rules),) = cluster.applied
    assert (policy, blocks(rules)) == (NAMES, ["2001:db8::5/128", "203.0.113.5/32"])
    assert rules[0]["ports"] == [{"protocol": "TCP", "port": 5432}]


async def test_a_task_that_asks_for_no_database_opens_nothing_and_looks_nothing_up():
    cluster = FakeCluster()
    await Destinations(config([named()]), cluster, Names()).open(RUN)
    assert cluster.applied == []


async def test_a_policy_is_written_only_when_it_changes_and_a_running_run_keeps_its_way():
    cluster = FakeCluster()
    names = Names(**{"registry.example": ("203.0.113.5",)})
    destinations = Destinations(config([named()]), cluster, names)
    await destinations.open(ASKING)
    await destinations.open(ASKING)
    assert len(cluster.applied) == 1
    cluster.jobs = [job_with(**{"registry.example": ["203.0.113.5"]})]
    names.names["registry.example"] = ("203.0.113.6",)
    await destinations.open(ASKING)
    assert blocks(cluster.applied[-1][1]) == ["203.0.113.5/32", "203.0.113.6/32"]
    cluster.jobs = []
    await destinations.open(ASKING)
    assert blocks(cluster.applied[-1][1]) == ["203.0.113.6/32"]


async def test_fixed_addresses_tunnels_and_literal_addresses_need_no_policy_of_ours():
    cluster = FakeCluster()
    reach = [
        {"host": "replica.example", "port": 1, "addresses": ["203.0.113.20"]},
        {"host": "tunnel", "port": 2, "service": "v6-node-tunnel-tunnel"},
        {"host": "203.0.113.21", "port": 3},
    ]
    names = Names(**{"v6-node-tunnel-tunnel": ("10.96.0.9",)})
    found = await Destinations(config(reach), cluster, names).open(ASKING)
    assert found[2:] == (HostAlias("203.0.113.20", ("replica.example",)), HostAlias("10.96.0.9", ("tunnel",)))
    assert cluster.applied == []


async def test_a_name_without_an_address_is_told_by_name():
    with pytest.raises(Unresolved, match=r"'registry\.example' has no address"):
        await Destinations(config([named()]), FakeCluster(), Names()).open(ASKING)


async def test_a_dns_that_does_not_answer_is_no_failure_of_the_run():
    names = Names(**{"registry.example": socket.gaierror(socket.EAI_AGAIN, "Temporary failure")})
    with pytest.raises(socket.gaierror):
        await Destinations(config([named()]), FakeCluster(), names).open(ASKING)


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "fe80::1", "0.0.0.0", "::ffff:127.0.0.1"])
async def test_a_name_never_opens_the_way_to_the_machine_itself(address):
    names = Names(**{"registry.example": ("203.0.113.5", address)})
    cluster = FakeCluster()
    with pytest.raises(Unresolved, match="which is a machine's own"):
        await Destinations(config([named()]), cluster, names).open(ASKING)
    assert cluster.applied == []


async def test_an_address_that_changed_under_a_run_is_said():
    names = Names(**{"registry.example": ("203.0.113.6",)})
    destinations = Destinations(config([named()]), FakeCluster(), names)
    job = job_with(**{"registry.example": ["203.0.113.5"]})
    assert "registry.example changed from 203.0.113.5 to 203.0.113.6;" in await destinations.moved(ASKING, job)
    names.names["registry.example"] = ("203.0.113.5",)
    assert await destinations.moved(ASKING, job) == ""


async def test_nothing_is_said_of_a_database_that_the_node_has_no_more():
    asking = replace(RUN, databases=(RequestedDatabase("gone"),))
    assert await Destinations(config([]), FakeCluster(), Names()).moved(asking, job_with()) == ""


HOSTS = st.sampled_from(["a", "b", "c"])
ADDRESSES = st.ip_addresses().map(str)


@given(
    st.lists(st.tuples(HOSTS, st.integers(1, 65535))),
    st.dictionaries(HOSTS, st.sets(ADDRESSES)),
)
def test_rules_open_exactly_the_known_addresses_of_each_host_and_port(pairs, known):
    rules = egress_rules([Destination(host=host, port=port) for host, port in pairs], known)
    opened = {
        (block["ipBlock"]["cidr"].partition("/")[0], rule["ports"][0]["port"]) for rule in rules for block in rule["to"]
    }
    assert opened == {(address, port) for host, port in pairs for address in known.get(host, ())}
    # An empty `to` would mean any address.
    assert all(rule["to"] and rule["ports"] for rule in rules)


async def test_what_somebody_else_wrote_into_a_kept_policy_is_undone():
    cluster = FakeCluster()
    names = Names(**{"registry.example": ("192.0.2.7",)})
    destinations = Destinations(config([named()]), cluster, names)
    await destinations.restore()
    assert cluster.applied == [(NAMES, [])], "what an earlier launcher opened, nobody uses"
    aliases = await destinations.open(ASKING)
    assert destinations.disturbed == []
    cluster.jobs = [job_with(**{alias.hostnames[0]: [alias.ip] for alias in aliases})]
    ours = cluster.specs[NAMES]["egress"]
    cluster.specs[NAMES]["egress"] = [*ours, {}]
    assert destinations.disturbed == [NAMES]
    await destinations.restore()
    assert cluster.specs[NAMES]["egress"] == ours
    assert destinations.disturbed == []


async def test_a_policy_that_could_not_be_written_is_written_the_next_time():
    cluster = FakeCluster()
    destinations = Destinations(config([named()]), cluster, Names(**{"registry.example": ("192.0.2.7",)}))
    write, cluster.apply_egress = cluster.apply_egress, failing
    with pytest.raises(OSError, match="away"):
        await destinations.open(ASKING)
    cluster.apply_egress = write
    await destinations.open(ASKING)
    assert blocks(cluster.applied[-1][1]) == ["192.0.2.7/32"]


async def failing(policy, rules):
    raise OSError("away")
