"""What the node tells of itself, as the server shows it."""

import asyncio
from typing import Any

import pytest

from launcher.machineload import cpu_times, load
from tests.server.sessions import Way, until
from tests.stage.federation import Collaboration
from tests.stage.waiting import wait_until

ENCRYPTED = {True: (["1"], ["True"], ["true"]), False: (["0"], ["False"], ["false"])}
DATABASES = [
    {"label": "default", "type": "csv", "uri": "/srv/a.csv"},
    {"label": "scans", "type": "folder", "uri": "/b"},
]


def told(collaboration: Collaboration) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in collaboration.federation.root.node.get(collaboration.nodes[0].id)["config"]:
        found.setdefault(row["key"], []).append(row["value"])
    return found


async def until_told(collaboration: Collaboration, key: str, value: list[str]) -> dict[str, list[str]]:
    await asyncio.to_thread(wait_until, lambda: told(collaboration).get(key) == value, 20, lambda: told(collaboration))
    return await asyncio.to_thread(told, collaboration)


@pytest.mark.contract("§12 node_info_update")
@pytest.mark.contract("§12 database_columns")
@pytest.mark.contract("§17 node config")
async def test_the_configuration_is_shown_after_each_sync_and_when_columns_are_known(
    way: Way, collaboration: Collaboration
):
    async with way.online(collaboration, databases=DATABASES) as (session, heard):
        shown = await until_told(collaboration, "database_labels", ["default", "scans"])
        assert shown["db_type_default"] == ["csv"]
        assert shown["db_type_scans"] == ["folder"]
        assert shown["encryption"] in ENCRYPTED[way.encrypted]
        assert "columns_default" not in shown
        await session.share_columns({"default": ["age", "weight"]})
        await until_told(collaboration, "columns_default", ["age", "weight"])
        # What another connection's end removed comes back.
        session._online.sync_wanted.set()
        await until(lambda: len(heard.lists) > 1)
        assert (await until_told(collaboration, "columns_default", ["age", "weight"]))["db_type_default"] == ["csv"]


@pytest.mark.contract("§12 encryption")
@pytest.mark.contract("§12 allowed_algorithms")
@pytest.mark.contract("§12 allowed_users")
@pytest.mark.contract("§12 allowed_orgs")
@pytest.mark.contract("§12 database_labels")
@pytest.mark.contract("§12 database_types")
@pytest.mark.parametrize("listed", [True, False])
async def test_each_key_has_its_rows(way: Way, collaboration: Collaboration, listed: bool):
    policies: dict[str, Any] = {
        "allowed_algorithms": ["harbor.example.org/a", r"^harbor\.example\.org/b:[0-9]+$"],
        "allowed_users": [4, "5"],
        "allowed_organizations": [collaboration.nodes[0].organization.name, 7],
    }
    async with way.online(collaboration, databases=DATABASES, policies=policies if listed else {}):
        shown = await until_told(collaboration, "database_labels", ["default", "scans"])
    assert shown.pop("encryption") in ENCRYPTED[way.encrypted]
    databases = {"database_labels": ["default", "scans"], "db_type_default": ["csv"], "db_type_scans": ["folder"]}
    lists = {
        "allowed_algorithms": policies["allowed_algorithms"],
        "allowed_users": ["4", "5"],
        "allowed_orgs": [collaboration.nodes[0].organization.name, "7"],
    }
    assert shown == databases | (lists if listed else {"allowed_algorithms": ["all"]})


@pytest.mark.contract("§12 share_config false")
async def test_nothing_is_shown_where_the_site_does_not_want_it(way: Way, collaboration: Collaboration):
    async with way.online(collaboration, databases=DATABASES, share_config=False) as (session, _):
        await session.share_columns({"default": ["age"]})
        await session.share_load({})
        await asyncio.sleep(1)
        assert await asyncio.to_thread(told, collaboration) == {}


@pytest.mark.contract("§12 node_metrics_update")
async def test_the_server_takes_the_load_as_metrics(way: Way, collaboration: Collaboration):
    now = cpu_times("cpu  10 0 10 80 0 0 0 0 0 0\n")
    metrics: dict[str, Any] = load((0, 0), now, "MemTotal: 100 kB\nMemAvailable: 25 kB\n", 3)
    start = way.server.log.stat().st_size
    async with way.online(collaboration) as (session, _):
        await session.share_load(metrics)
        await asyncio.sleep(1)
        assert session.online
    said = way.server.log.read_text()[start:]
    assert "Failed to process metric" not in said
    assert "Invalid metric" not in said
    assert ("Updated metrics for node" in said) == (
        way.server.version() == "4.15.2"
    )  # older releases know no such event
