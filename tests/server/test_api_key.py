"""A node's key that is reset at a real server, and what the doctor asks of one."""

import asyncio
import uuid
from pathlib import Path

import pytest
import requests

from launcher.apikey import ApiKey
from launcher.config.kubernetes import ServerAccess
from launcher.config.node import NodeSection
from launcher.connection import Connection
from launcher.doctor import inside
from launcher.serverconnection import http_session
from launcher.session.v4 import V4Session
from tests.server.sessions import kept_online, until
from tests.server.site import Site
from tests.stage.server import Server


def reset_key(site: Site) -> str:
    """Have the server give the node another key, after which the one before is of no use."""
    root = site.collaboration.federation.root
    url = f"{site.collaboration.federation.server.api}/recover/node"
    answer = requests.post(url, json={"id": site.account.id}, headers=root.headers, timeout=10)
    assert answer.ok, answer.text
    return str(answer.json()["api_key"])


async def test_a_node_goes_on_with_the_key_that_took_its_keys_place(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("launcher.apikey._LOOK_EVERY", 0.05)
    (tmp_path / "api_key").write_text(site.account.api_key)
    server = site.collaboration.federation.server
    section = {"server_url": server.url, "port": server.port, "encryption": {"enabled": site.enabled}}
    connection = Connection()
    async with http_session(ServerAccess()) as http:
        node = NodeSection.model_validate(section)
        key = ApiKey(None, tmp_path)
        session = V4Session(http, node, key, site.cryptor, connection=connection)
        await session.open()
        async with kept_online(session):
            first = connection.table()["key_tried"]
            (tmp_path / "api_key").write_text(str(uuid.uuid4()))
            await until(lambda: connection.table()["key_refused"])
            assert session.online, "the tokens of the key before are still good"
            new = await asyncio.to_thread(reset_key, site)
            (tmp_path / "api_key").write_text(new)
            await until(lambda: connection.table()["key_tried"] > first and not connection.table()["key_refused"])
            assert session.online and await session.open_runs() == []
            await session._rest.renew()


def test_the_doctor_asks_a_real_server(site: Site, server: Server):
    answer = inside.ask(server.api, site.account.api_key)
    assert (answer["status"], answer["login"]["status"]) == (200, 200)
    assert answer["version"].startswith("4.")
    assert abs(answer["ahead"]) < 30
    wrong = inside.ask(server.api, str(uuid.uuid4()))
    assert wrong["login"]["status"] in {400, 401} and wrong["login"]["message"]
    elsewhere = inside.ask(f"{server.url}:{server.port}/elsewhere")
    assert elsewhere["status"] == 404
