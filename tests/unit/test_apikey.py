"""A key that was replaced in the mounted Secret is used: after a refusal at once, else as soon as it is seen."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from launcher.apikey import ApiKey
from launcher.connection import Connection
from launcher.session import LoginRefused
from launcher.session.rest import Rest

OLD, NEW, OTHER, WRONG = (f"{digit * 8}-2222-4333-8444-555555555555" for digit in "1234")


class KeyServer:
    """A stand-in for the vantage6 server that knows keys, and which node each is of."""

    def __init__(self) -> None:
        self.nodes = {OLD: 4}
        self.asked: list[str] = []
        self.away = 0

    async def log_in(self, request: web.Request) -> web.Response:
        key = (await request.json())["api_key"]
        self.asked.append(key)
        if self.away:
            self.away -= 1
            return web.Response(status=503)
        if key not in self.nodes:
            return web.json_response({"msg": "Api key is not recognized!"}, status=401)
        claims = {"sub": str(self.nodes[key]), "iat": 0, "exp": 3600, "key": key}
        token = jwt.encode(claims, "x" * 32, algorithm="HS256")
        return web.json_response({"access_token": token, "refresh_token": token})


@asynccontextmanager
async def logged_in(server: KeyServer, secrets: Path) -> AsyncIterator[tuple[Rest, Connection]]:
    app = web.Application()
    app.router.add_post("/api/token/node", server.log_in)
    connection = Connection()
    async with TestServer(app) as there, aiohttp.ClientSession() as http:
        url = str(there.make_url("/api"))
        yield Rest(http, url, ApiKey(None, secrets), connection.failed, connection.logged_in), connection


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("launcher.apikey._LOOK_EVERY", 0.01)
    monkeypatch.setattr("launcher.backoff.backoff", lambda *_: 0.01)
    (tmp_path / "api_key").write_text(f"{OLD}\n")
    return tmp_path


def put(secrets: Path, text: str) -> None:
    """As kubelet does it: in one step."""
    (secrets / "new").write_text(text)
    (secrets / "new").rename(secrets / "api_key")


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def following(rest: Rest) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(rest.follow_key())
    yield task
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, LoginRefused):
        await task


async def test_a_refused_key_is_read_again_before_it_is_given_up(secrets: Path):
    server = KeyServer()
    server.nodes = {NEW: 4}
    async with logged_in(server, secrets) as (rest, _):
        put(secrets, NEW)
        await rest.login()
        assert server.asked == [OLD, NEW]


async def test_a_key_that_is_refused_and_still_there_is_refused(secrets: Path):
    server = KeyServer()
    server.nodes = {}
    async with logged_in(server, secrets) as (rest, connection):
        with pytest.raises(LoginRefused, match="refuses api_key"):
            await rest.login()
        assert server.asked == [OLD]
        assert connection.table()["key_tried"] is None


async def test_a_replaced_key_is_noticed_and_used_also_when_the_server_is_away_at_first(secrets: Path):
    server = KeyServer()
    async with logged_in(server, secrets) as (rest, connection):
        await rest.login()
        first = connection.table()["key_tried"]
        server.nodes, server.away = {NEW: 4}, 2
        async with following(rest):
            put(secrets, NEW)
            await until(lambda: rest.claims["key"] == NEW)
            await until(lambda: connection.table()["key_tried"] > first)
        assert server.asked == [OLD, NEW, NEW, NEW]


async def test_a_new_key_that_is_refused_is_reported_and_the_old_tokens_stay(secrets: Path):
    server = KeyServer()
    async with logged_in(server, secrets) as (rest, connection):
        await rest.login()
        async with following(rest) as task:
            put(secrets, WRONG)
            await until(lambda: connection.table()["key_refused"])
            assert rest.claims["key"] == OLD
            put(secrets, OLD)
            await until(lambda: not connection.table()["key_refused"])
            assert not task.done()
        assert server.asked == [OLD, WRONG, OLD]


@pytest.mark.parametrize("slip", ["", "no key at all", None])
async def test_what_is_no_key_changes_nothing(secrets: Path, slip: str | None):
    server = KeyServer()
    async with logged_in(server, secrets) as (rest, _):
        await rest.login()
        async with following(rest):
            put(secrets, slip) if slip is not None else (secrets / "api_key").unlink()
            await asyncio.sleep(0.1)
        assert server.asked == [OLD]


async def test_the_key_of_another_node_ends_this_launcher_before_its_tokens_are_used(secrets: Path):
    server = KeyServer()
    server.nodes = {OLD: 4, OTHER: 5}
    async with logged_in(server, secrets) as (rest, _):
        await rest.login()
        async with following(rest) as task:
            put(secrets, OTHER)
            with pytest.raises(LoginRefused, match="another node"):
                await task
        assert rest.claims["sub"] == "4"


def test_a_key_that_was_given_as_text_never_changes():
    assert not ApiKey(OLD).renewed()
