"""A server behind TLS of the site's own authority, and behind the site's HTTP proxy."""

import asyncio
from pathlib import Path

import pytest

from ci.cluster.certificates import Authority
from launcher.config import ConfigError
from launcher.config.kubernetes import ServerAccess
from launcher.connection import Connection
from launcher.serverconnection import http_session
from launcher.session import LoginRefused
from tests.server.sessions import Way, kept_online, until
from tests.server.ways import each_release
from tests.stage.federation import Collaboration
from tests.stage.httpproxy import HttpProxy
from tests.stage.recorder import Recorder

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    Authority.create(tmp_path).issue("server", "server", server=["localhost", "vantage6.invalid"])
    return tmp_path


def front(way: Way, authority: Path) -> Recorder:
    target = f"{way.server.url}:{way.server.port}"
    return Recorder("127.0.0.1", target, tls=(authority / "server.crt", authority / "server.key"))


@each_release
@pytest.mark.contract("§2 TLS")
async def test_the_sites_own_authority_is_believed_where_it_is_given(
    way: Way, collaboration: Collaboration, authority: Path
):
    access = ServerAccess(ca=str(authority / "ca.crt"))
    with front(way, authority) as server:
        there = {"server_url": "https://localhost", "port": server.port}
        async with http_session(access) as http:
            session = way.session(http, collaboration.nodes[0].api_key, **there)
            await session.open()
            async with kept_online(session):
                pass
        async with http_session(ServerAccess()) as http:
            connection = Connection()
            opening = asyncio.create_task(way.session(http, NOBODY, connection, **there).open())
            await until(lambda: "the authority that signed its certificate in network.server.ca" in connection.reason)
            opening.cancel()


@each_release
@pytest.mark.contract("§2 HTTP proxy")
async def test_everything_goes_through_the_http_proxy(
    way: Way, collaboration: Collaboration, authority: Path, monkeypatch: pytest.MonkeyPatch
):
    with front(way, authority) as server, HttpProxy() as proxy:
        for name in ("HTTPS_PROXY", "WSS_PROXY"):
            monkeypatch.setenv(name, f"http://node:secret@127.0.0.1:{proxy.port}")
        # A name that only the proxy knows.
        there = {"server_url": "https://vantage6.invalid", "port": server.port}
        async with http_session(ServerAccess(ca=str(authority / "ca.crt"))) as http:
            session = way.session(http, collaboration.nodes[0].api_key, **there)
            await session.open()
            async with kept_online(session):
                assert set(proxy.asked) == {f"vantage6.invalid:{server.port}"}
                assert set(proxy.credentials) == {"Basic bm9kZTpzZWNyZXQ="}
            with pytest.raises(LoginRefused):
                await way.session(http, NOBODY, **there).open()


def test_a_file_without_a_certificate_is_refused_by_key(tmp_path: Path):
    (tmp_path / "ca.crt").write_text("none")
    for path in (tmp_path / "ca.crt", tmp_path / "absent"):
        with pytest.raises(ConfigError, match=r"network\.server\.ca: .* -----BEGIN CERTIFICATE-----"):
            http_session(ServerAccess(ca=str(path)))
