"""The proxy's rules, against a server on loopback that records what arrives and answers as it is told."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, unused_port
from yarl import URL

from proxy.app import application
from proxy.forward import Forwarder
from tests.unit.proxied_server import CLOSES, CONTAINER, HEADERS, SUBJECT, TASK, Server, proxied, token, whose


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[TestClient[Any, Any]]:
    async with proxied(server) as client:
        yield client


@pytest.mark.contract("§10 what is passed on")
@pytest.mark.parametrize(("method", "path"), [("GET", "/result?task_id=7&x=a%20b&page=1"), ("POST", "/task")])
async def test_path_query_body_and_three_headers_arrive_nothing_else(
    client: Any, server: Server, method: str, path: str
) -> None:
    body = json.dumps(TASK).encode() if method == "POST" else None
    extra = {"Accept": "application/json", "Content-Type": "application/json", "X-Public-Key": "k", "Cookie": "a=b"}
    await client.request(method, path, data=body, headers=extra)
    [(seen_method, seen_path, headers, seen_body)] = server.seen
    assert (seen_method, seen_path) == (method, "/api" + path.replace("%20", "+"))
    assert json.loads(seen_body or b"null") == (TASK if body else None), "a new task is written anew, but is the same"
    assert headers.pop("Host").startswith("localhost:")
    expected = {"Accept": "application/json", "Content-Type": "application/json", **HEADERS}
    assert headers == expected | ({"Content-Length": str(len(seen_body)), **CLOSES} if body else {})


@pytest.mark.contract("§18 3 4xx through the proxy")
@pytest.mark.parametrize("status", [200, 201, 204, 400, 401, 403, 404, 409, 422, 500])
async def test_the_server_s_answer_is_passed_back_unchanged(client: Any, server: Server, status: int) -> None:
    body = b"" if status == 204 else b'{"msg":  "as it is"}'
    server.answers(status, body)
    answer = await client.get("/task/7")
    assert (answer.status, await answer.read(), answer.content_type) == (status, body, "application/json")
    assert len(server.seen) == 1, "an answer is an answer: it is not asked for again"


@pytest.mark.parametrize("known", [True, False], ids=["a path for it", "no path for it"])
async def test_how_far_a_task_is_can_be_asked_whatever_the_servers_release(
    client: Any, server: Server, known: bool
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/api/task/7":
            return web.json_response({"id": 7, "status": "active", "name": "mine"})
        return web.json_response({"status": "active"}) if known else web.Response(status=404, text="<h1>Not Found</h1>")

    server.answer = answer
    told = await client.get("/task/7/status")
    assert (told.status, await told.json()) == (200, {"status": "active"})
    assert [path for _, path, _, _ in server.seen] == ["/api/task/7/status", *([] if known else ["/api/task/7"])]


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_what_the_server_says_instead_of_how_far_a_task_is_stays(
    client: Any, server: Server, status: int
) -> None:
    server.answers(status, b'{"msg": "no"}')
    told = await client.get("/task/7/status")
    assert (told.status, await told.json()) == (status, {"msg": "no"})


async def test_results_are_passed_back_as_the_algorithm_client_decodes_them(client: Any, server: Server) -> None:
    result = {"sum": 1.5, "count": 2}
    encoded = base64.b64encode(json.dumps(result).encode()).decode()
    server.answers(200, json.dumps({"data": [{"result": encoded, "blob_storage_used": False}], "links": {}}).encode())
    answer = await (await client.get("/result?task_id=7&page=1")).json()
    assert json.loads(base64.b64decode(answer["data"][0]["result"])) == result


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("", 401),
        ("Basic YTpi", 401),
        ("Bearer ", 401),
        ("Bearer x", 401),
        ("Bearer a.%%%.c", 401),
        ("Bearer " + "." * 3, 401),
        (f"Bearer {token(12)}", 403),
        (f"Bearer {token({'client_type': 'node'})}", 403),
        (f"Bearer {token(['container'])}", 403),
        (f"Bearer {token({'client_type': 'container', 'task_id': 7})}", 403),
        (f"Bearer {token({**SUBJECT, 'task_id': True})}", 403),
        (f"Bearer {token({**SUBJECT, 'databases': 'default'})}", 403),
    ],
)
async def test_only_container_tokens_are_let_in(client: Any, server: Server, header: str | None, status: int) -> None:
    async with aiohttp.ClientSession() as session:  # without the client's own token
        headers = {} if header is None else {"Authorization": header}
        async with session.get(client.make_url("/organization"), headers=headers) as answer:
            assert answer.status == status
            assert "TOKEN_FILE" in (await answer.json())["msg"]
    assert server.seen == []


def nested(times: int) -> list[Any]:
    """A list in a list in a list …"""
    lists: list[Any] = []
    for _ in range(times):
        lists = [lists]
    return lists


@pytest.mark.parametrize(
    ("method", "path", "body", "says"),
    [
        ("POST", "/task", b'{"name": "x"}', "Organizations missing"),
        ("POST", "/task", b'{"organizations": []}', "Organizations missing"),
        ("POST", "/task", b"[]", "not JSON"),
        ("POST", "/task", b"organizations=1", "not JSON"),
        ("POST", "/task", b"[" * 100_000, "not JSON"),
        ("POST", "/task", json.dumps({**TASK, "description": nested(500)}).encode(), "nested too deeply"),
        ("GET", "/result", None, "No task id"),
        ("GET", "/result?task_id=", None, "No task id"),
        ("GET", "/result?task_id=7&task_id=8", None, "No task id"),
        ("GET", "/run?task_id=7%20or%201", None, "No task id"),
    ],
)
async def test_faulty_requests_are_refused_with_a_sentence(
    client: Any, server: Server, *, method: str, path: str, body: bytes | None, says: str
) -> None:
    url = client.make_url("/").join(URL(path, encoded=True))
    async with client.session.request(method, url, data=body, headers=HEADERS) as answer:
        assert answer.status == 400
        assert says in (await answer.json())["msg"]
    assert server.seen == []


async def test_a_path_that_climbs_is_refused_as_it_stands_on_the_wire(client: Any, server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(f"GET /../token HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CONTAINER}\r\n\r\n".encode())
    assert b" 403 " in await reader.readline()
    writer.close()
    assert server.seen == []


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE"])
async def test_other_methods_are_not_forwarded(client: Any, server: Server, method: str) -> None:
    assert (await client.request(method, "/task")).status == 403
    assert server.seen == []


async def test_a_new_task_arrives_as_it_was_understood(client: Any, server: Server) -> None:
    """Written anew: of two keys of one name, the server could take the one that was not looked at."""
    body = b'{"image": "evil", ' + json.dumps({**TASK, "name": "\u00e9"}, ensure_ascii=False).encode()[1:]
    server.answers(201, b'{"id": 9}')
    answer = await client.post("/task", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, await answer.json()) == (201, {"id": 9})
    assert b"evil" not in server.seen[0][3]
    assert json.loads(server.seen[0][3]) == {**TASK, "name": "\u00e9"}


async def test_redirects_are_not_followed(client: Any, server: Server) -> None:
    async def away(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/api/elsewhere")

    server.answer = away
    assert (await client.get("/task/7", allow_redirects=False)).status == 302
    assert len(server.seen) == 1


async def test_a_compressed_answer_stays_as_it_is(client: Any, server: Server) -> None:
    packed = gzip.compress(b'{"data": []}')

    async def answer(request: web.Request) -> web.StreamResponse:
        assert "Accept-Encoding" not in request.headers
        return web.Response(body=packed, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    server.answer = answer
    async with client.session.get(client.make_url("/task/7"), headers=HEADERS) as reply:
        assert reply.headers["Content-Length"] == str(len(packed))
        assert await reply.json() == {"data": []}


async def test_an_answer_that_repeats_a_long_query_for_each_of_its_pages_arrives(client: Any, server: Server) -> None:
    async def linked(request: web.Request) -> web.StreamResponse:
        links = ", ".join(f"<{request.path_qs}>; rel={page}" for page in ("first", "last", "self", "next"))
        return web.json_response({"data": []}, headers={"Link": links})

    server.answer = linked
    answer = await client.get("/result", params={"task_id": "7", "x": "y" * 8000})
    assert (answer.status, await answer.json()) == (200, {"data": []})


async def test_cookies_of_the_server_reach_nobody(client: Any, server: Server) -> None:
    async def cookie(_: web.Request) -> web.StreamResponse:
        answer = web.json_response({})
        answer.set_cookie("session", "secret")
        return answer

    server.answer = cookie
    answer = await client.get("/task/7")
    await client.get("/task/7")
    assert "Set-Cookie" not in answer.headers
    assert all("Cookie" not in headers for _, _, headers, _ in server.seen)


async def test_a_get_is_repeated_until_the_server_is_back(client: Any, server: Server) -> None:
    async def away_twice(request: web.Request) -> web.StreamResponse:
        if len(server.seen) == 1:
            assert request.transport is not None
            request.transport.abort()
        if len(server.seen) == 2:
            return web.Response(status=503, text="<html>")
        return web.json_response({"ok": True})

    server.answer = away_twice
    answer = await client.get("/task/7/status")
    assert (answer.status, await answer.json()) == (200, {"ok": True})
    assert len(server.seen) == 3


async def test_a_gateway_s_answer_is_passed_back_when_it_stays(client: Any, server: Server) -> None:
    server.answers(503, b"<html>", "text/html")
    answer = await client.get("/task/7")
    assert (answer.status, await answer.read(), len(server.seen)) == (503, b"<html>", 3)


async def test_a_post_is_never_repeated(client: Any, server: Server) -> None:
    async def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    server.answer = drop
    answer = await client.post("/task", json=TASK)
    assert answer.status == 502
    assert "could not be reached" in (await answer.json())["msg"]
    assert len(server.seen) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_absent_server_is_one_sentence(method: str) -> None:
    async with (
        whose() as ours,
        Forwarder(f"http://127.0.0.1:{unused_port()}/api", (0.01,)) as forwarder,
        TestClient(TestServer(application(forwarder, ours)), headers=HEADERS) as client,
    ):
        answer = await (client.post("/task", json=TASK) if method == "POST" else client.get("/task/7"))
        assert answer.status == 502
        assert (await answer.json())["msg"].startswith("The vantage6 server could not be reached")
