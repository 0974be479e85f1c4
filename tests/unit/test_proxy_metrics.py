"""What the proxy counts of algorithms' requests, however these are made and end."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port
from yarl import URL

from proxy.metrics import NO_ROUTE, REGISTRY, ROUTES, count
from tests.unit.counted import moving
from tests.unit.proxied_server import TASK, Server, proxied


def requests(moved: dict[str, float]) -> dict[str, float]:
    prefix = "v6_node_proxy_requests_total"
    return {name.removeprefix(prefix): by for name, by in moved.items() if name.startswith(prefix)}


async def test_a_request_is_counted_by_its_kind_with_its_bytes():
    server = Server()
    server.answers(200, b'{"id": 7}')
    async with proxied(server) as client:
        with moving(REGISTRY) as moved:
            await (await client.get("/task/7")).read()
            await (await client.post("/task", json=TASK)).read()
    assert requests(moved) == {"{route=task,status=200}": 1, "{route=create task,status=200}": 1}
    assert moved["v6_node_proxy_sent_bytes_total"] == 2 * len(b'{"id": 7}')
    assert moved["v6_node_proxy_received_bytes_total"] == pytest.approx(len(str(TASK)), abs=20)
    assert moved["v6_node_proxy_request_seconds_count{route=task}"] == 1
    assert "v6_node_proxy_requests_in_progress" not in moved


@pytest.mark.parametrize(
    ("method", "path", "headers", "kind"),
    [
        ("GET", "/secrets/of/somebody?route=task", {}, "{route=none,status=403}"),
        ("PATCH", "/task/7", {}, "{route=none,status=403}"),
        ("GET", "/task/7", {"Authorization": "Bearer a.b.c"}, "{route=none,status=401}"),
        ("GET", "/run", {}, "{route=runs,status=400}"),
    ],
)
async def test_what_is_refused_is_counted_and_its_path_is_no_label(method, path, headers, kind):
    async with proxied(Server()) as client:
        with moving(REGISTRY) as moved:
            said = await (await client.request(method, path, headers=headers)).read()
    assert requests(moved) == {kind: 1}
    assert moved["v6_node_proxy_sent_bytes_total"] == len(said)


async def test_a_kind_that_nobody_knows_is_no_label():
    with moving(REGISTRY) as moved:
        count("what an algorithm says", 200, 0.1)
    assert requests(moved) == {"{route=none,status=200}": 1}
    assert NO_ROUTE not in ROUTES


async def _hangs_up(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"x" * 10)
    assert request.transport
    request.transport.abort()
    return response


@pytest.mark.parametrize(
    ("prepare", "errors"),
    [
        (lambda server: server.answers(503), {"away": 3}),
        (lambda server: setattr(server, "answer", _hangs_up), {"broken off": 1}),
    ],
    ids=["a gateway says that it is away", "its answer breaks off"],
)
async def test_trouble_with_the_server_is_counted(prepare, errors):
    server = Server()
    prepare(server)
    async with proxied(server) as client:
        with moving(REGISTRY) as moved:
            answer: Any = None
            try:
                answer = await client.get("/task/7")
                await answer.read()
            except Exception as error:
                assert "broken off" in errors, error
            await asyncio.sleep(0.05)
    prefix = "v6_node_proxy_server_errors_total{error="
    assert {name[len(prefix) : -1]: by for name, by in moved.items() if name.startswith(prefix)} == errors


async def test_a_server_that_is_not_there_is_counted_at_each_attempt(monkeypatch):
    port = unused_port()
    monkeypatch.setattr("proxy.forward.Forwarder._url", lambda *_: URL(f"http://127.0.0.1:{port}/"))
    async with proxied(Server()) as client:
        with moving(REGISTRY) as moved:
            assert (await client.get("/task/7")).status == 502
    assert moved["v6_node_proxy_server_errors_total{error=unreachable}"] == 3
