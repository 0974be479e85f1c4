"""Bodies pass the proxy as streams, up to a limit, and what breaks off is not mistaken for the whole."""

import asyncio
import base64
import json
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, unused_port

import proxy.app
import proxy.body
from launcher.logs import JsonLines
from proxy.app import status_application
from tests.stage.proxy_process import CONFIGURATION, start_proxy
from tests.unit.proxied_server import BLOB, CONTAINER, HEADERS, NODE, TASK, Server, proxied


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[TestClient[Any, Any]]:
    async with proxied(server) as client:
        yield client


async def test_a_request_s_first_bytes_arrive_before_its_last_are_sent(client: Any, server: Server) -> None:
    arrived = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        first = await request.content.readany()
        arrived.set()
        return web.json_response({"bytes": len(first + await request.content.read())})

    server.handle_stream = handle

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        await asyncio.wait_for(arrived.wait(), 5)
        yield b"y" * 1000

    answer = await client.post("/blobstream", data=body())
    assert await answer.json() == {"bytes": 2668}


async def test_an_answer_s_first_bytes_arrive_before_its_last_are_sent(client: Any, server: Server) -> None:
    arrived = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        await response.write(b"first")
        await asyncio.wait_for(arrived.wait(), 5)
        await response.write(b"last")
        return response

    server.answer = answer
    reply = await client.get("/task/7")
    assert await reply.content.readany() == b"first"
    arrived.set()
    assert await reply.content.read() == b"last"


@pytest.mark.parametrize("announced", [True, False], ids=["content-length", "chunked"])
async def test_a_body_over_the_limit_is_refused(
    client: Any, server: Server, monkeypatch: pytest.MonkeyPatch, announced: bool
) -> None:
    monkeypatch.setattr(proxy.body, "MAX_BODY_BYTES", 2**20)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 2**19

    answer = await client.post("/blobstream", data=b"x" * (3 * 2**19) if announced else chunks())
    assert answer.status == 413
    assert "longer than 1 MiB" in (await answer.json())["msg"]
    assert server.seen == [], "the server never had the whole of it"


async def test_a_body_just_below_the_limit_passes(client: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy.body, "MAX_BODY_BYTES", 2**20)
    body = os.urandom(2**20)
    assert (await client.post("/blobstream", data=body)).status == 200
    assert base64.b64decode(server.seen[0][3]) == body


async def test_a_new_task_over_its_limit_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy.app, "MAX_TASK_BYTES", 2**20)
    async with proxied(server) as client:
        answer = await client.post("/task", json={"organizations": [{"id": 1, "input": "x" * 2**20}]})
        assert answer.status == 413
        assert "longer than 1 MiB" in (await answer.json())["msg"]
    assert server.seen == []


async def test_a_new_task_that_does_not_arrive_in_time_lets_others_through(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy.app, "READ_SECONDS", 0.2)
    monkeypatch.setattr(proxy.app, "LARGE_TASK_BYTES", 0)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(2)

    async with proxied(server) as client:
        first = asyncio.create_task(client.post("/task", data=slow()))
        await asyncio.sleep(0.05)
        assert (await client.post("/task", json=TASK)).status == 200
        answer = await first
        assert (answer.status, "did not arrive" in (await answer.json())["msg"]) == (408, True)


@pytest.mark.parametrize("path", ["/task", "/blobstream"])
async def test_a_packed_body_is_refused(client: Any, server: Server, path: str) -> None:
    answer = await client.post(path, data=b"x", headers={"Content-Encoding": "gzip"})
    assert (answer.status, "'gzip'" in (await answer.json())["msg"]) == (415, True)
    assert server.seen == []


@pytest.mark.parametrize("length", ["1000", None], ids=["content-length", "chunked"])
async def test_an_answer_that_breaks_off_is_no_answer(client: Any, server: Server, length: str | None) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": length} if length else {})
        await response.prepare(request)
        await response.write(b"x" * 10)
        await asyncio.sleep(0.05)
        assert request.transport is not None
        request.transport.abort()
        return response

    server.answer = answer
    with pytest.raises(aiohttp.ClientError):
        await (await client.get("/task/7")).read()


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 1000, 2**20 + 1])
@pytest.mark.parametrize("announced", [True, False], ids=["content-length", "chunked"])
async def test_blobs_are_base64_at_the_server_and_bytes_at_the_algorithm(
    client: Any, server: Server, size: int, announced: bool
) -> None:
    blob = os.urandom(size)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 777):
            yield blob[start : start + 777]

    answer = await client.post("/blobstream", data=blob if announced else chunks())
    assert answer.status == 200
    stored = server.seen[0][3]
    assert base64.b64decode(stored, validate=True) == blob
    server.answers(200, stored, "application/octet-stream")
    server.blobs = [BLOB]
    assert await (await client.get(f"/blobstream/{BLOB}")).read() == blob


@pytest.mark.parametrize(("status", "kind"), [(200, "application/json"), (404, "application/octet-stream")])
async def test_what_is_no_blob_is_not_decoded(client: Any, server: Server, status: int, kind: str) -> None:
    server.answers(status, b'{"blob_store_enabled": false}', kind)
    answer = await client.get("/blobstream/status")
    assert (answer.status, await answer.read()) == (status, b'{"blob_store_enabled": false}')


async def test_a_blob_that_is_not_base64_is_no_answer(client: Any, server: Server) -> None:
    server.answers(200, b"abcde", "application/octet-stream")
    server.blobs = [BLOB]
    answer = await client.get(f"/blobstream/{BLOB}")
    assert answer.status == 409
    assert "can't be decrypted by this node" in (await answer.json())["msg"]


async def test_logs_hold_no_token_body_or_query(client: Any, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await client.get("/result?task_id=7&x=querysecret")
    await client.post("/task", json={**TASK, "organizations": [{"id": 1, "input": "bodysecret"}]})
    await client.post("/task", data="bodysecret")
    await client.get("/x", headers={"Authorization": "Bearer headersecret"})
    lines = "\n".join(JsonLines().format(record) for record in caplog.records if record.name.startswith("proxy"))
    requests = [line for line in map(json.loads, lines.splitlines()) if line["event"] == "request"]
    assert [(line["path"], line["status"], line["task_id"]) for line in requests] == [
        ("/result", 200, 7),
        ("/task", 200, 7),
        ("/task", 400, 7),
        ("/x", 401, None),
    ]
    for secret in ("querysecret", "bodysecret", "headersecret", CONTAINER.split(".")[1]):
        assert secret not in lines


async def test_probes_have_a_port_of_their_own(client: Any, server: Server) -> None:
    async with TestClient(TestServer(status_application())) as status:
        assert (await status.get("/healthz")).status == 200
    assert (await client.get("/healthz")).status == 403, "to an algorithm it is a path like any other"


async def test_the_program_serves_and_finishes_what_is_under_way(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.sleep(3)  # longer than the proxy waits before it closes its port
        return web.json_response({"late": True})

    async def identity(_: web.Request) -> web.StreamResponse:
        return web.json_response(NODE)

    app = web.Application()
    app.router.add_get("/api/task/7", slow)
    app.router.add_get("/identity", identity)
    async with TestServer(app) as upstream:
        config = tmp_path / "node.yaml"
        config.write_text(CONFIGURATION.format(port=upstream.port, encrypted="false"))
        ports = unused_port(), unused_port(), unused_port()
        launcher = str(upstream.make_url("")).rstrip("/")
        process = await start_proxy(config, *ports, log=asyncio.subprocess.PIPE, V6_NODE_LAUNCHER=launcher)
        assert process.stdout is not None
        assert json.loads(await process.stdout.readline())["event"] == "ready"
        async with aiohttp.ClientSession() as session:
            assert (await session.get(f"http://127.0.0.1:{ports[1]}/healthz")).status == 200
            shown = await (await session.get(f"http://127.0.0.1:{ports[2]}/metrics")).text()
            assert "v6_node_proxy_requests_in_progress 0.0" in shown
            request = asyncio.create_task(session.get(f"http://127.0.0.1:{ports[0]}/task/7", headers=HEADERS))
            await asked.wait()
            process.terminate()
            assert await (await request).json() == {"late": True}
        assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_a_faulty_configuration_is_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    process = await start_proxy(tmp_path / "missing.yaml", 1, 1, 1, log=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    line = json.loads(output)
    assert (process.returncode, line["level"], line["event"]) == (1, "CRITICAL", "configuration refused")
    assert "missing.yaml" in line["reason"]
