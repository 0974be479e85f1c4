"""A thousand requests of garbage: no 5xx of the proxy's own, nothing of the server's given away, no memory kept.

The proxy is a process of its own, so that its memory can be measured; the garbage is made from a seed that is printed.
"""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from tests.unit.keys import encrypted
from tests.unit.proxied_server import BLOB, CONTAINER, NODE, SUBJECT, TASK, token
from tests.unit.test_proxy_streams import CONFIGURATION, PROGRAM

SECRET = "what-nobody-may-see"
REQUESTS = 1000
GROWTH = 32 * 2**20  # bytes; the same thousand again may not leave more


def sequences(chance: random.Random) -> bytes:
    return bytes(chance.randrange(256) for _ in range(chance.randrange(200)))


def garbage(chance: random.Random) -> tuple[str, str, dict[str, str], bytes]:
    """A request line's method and target, headers and body, each good or bad by chance."""
    pick = chance.choice
    text = "".join(pick("aé/%.\\?&=#;$ '\"\x7f0123456789{}[]<>") for _ in range(chance.randrange(40)))
    quoted = "".join(f"%{byte:02x}" for byte in sequences(chance)[:20])
    ids = pick([*["7", "8"] * 5, "5", "0", "-1", "9" * 30, "1e3", "٣", BLOB, "", ".."])
    target = pick(
        [
            f"/task/{ids}",
            f"/run/{ids}",
            f"/result/{ids}",
            f"/result?task_id={ids}&{quoted}",
            f"/run?task_id={ids}&task_id=5",
            f"/blobstream/{ids}",
            f"/organization?collaboration_id={ids}",
            f"/{quoted}",
            "/task",
            "/task",
            "/blobstream",
            "/" + "a/" * chance.randrange(2000),
            "/result?" + "task_id=5&" * chance.randrange(3000),
            "/" + "".join(c for c in text if c.isascii() and c.isprintable() and c != " "),
        ]
    )
    subject: Any = pick([*[SUBJECT] * 9, {**SUBJECT, "task_id": 5}, {**SUBJECT, "node_id": 99}, 12, None, [], text])
    bearer = pick([*[token(subject)] * 9, token(subject) + "x", text.encode().hex(), "a.b.c", "." * 500, ""])
    headers = {
        "Authorization": pick([*["Bearer "] * 6, "bearer ", "Basic ", ""]) + bearer,
        "Content-Type": pick(["application/json", "text/plain", "application/json; charset=utf-16", "x"]),
        "X-Public-Key": pick(["", "x", "$" * 100, "e30=", "A" * 10_000]),
    }
    change = {pick(list(TASK)): pick([None, 1, "x", [], {}, [[]], [{"id": 2**70}], [{"id": 1, "input": "%"}], text])}
    body = pick(
        [
            sequences(chance),
            json.dumps({**TASK, **change}).encode(),
            json.dumps(TASK).encode("utf-16"),
            b"[" * 10_000,
            b'{"organizations": ' + b"9" * 5000 + b"}",
            b'{"a": "\\ud800"}',
            b"x" * chance.randrange(10**6),
            b"",
        ]
    )
    return pick([*["GET"] * 6, *["POST"] * 4, "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]), target, headers, body


async def raw(port: int, request: tuple[str, str, dict[str, str], bytes]) -> tuple[int, bytes]:
    """Status and body, asked as it stands: a client library would put garbage in order."""
    method, target, headers, body = request
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
    except ConnectionError:  # it was refused before it was read
        pass
    try:
        answer = await asyncio.wait_for(reader.read(), 30)
    except ConnectionError:
        return 0, b""
    finally:
        writer.close()
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]) if head else 0, content


def memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


async def serve(request: web.Request) -> web.StreamResponse:
    """A server that knows task 8, a child of task 7, and tells of other tasks, runs and blobs what may not get out."""
    if request.path == "/identity":
        return web.json_response(NODE)
    await request.read()
    if request.path in {"/api/task/7", "/api/task/8"}:
        return web.json_response({"parent": {"id": 7} if request.path.endswith("8") else None})
    if request.path.startswith("/api/run/"):
        return web.json_response({"task": {"id": 6}, "input": SECRET})
    ours = request.query.get("task_id") in {"5", "7", "8"} or request.path.startswith("/api/task/5")
    private = request.path.startswith(("/api/task/", "/api/run", "/api/result", "/api/blobstream/", "/api/node"))
    return web.json_response({"data": []} if ours or not private else {"parent": None, "result": SECRET})


@pytest.mark.parametrize("enabled", [True, False], ids=["encrypted", "plain"])
async def test_a_thousand_requests_of_garbage(tmp_path: Path, enabled: bool) -> None:
    seed = int(os.environ.get("V6_NODE_TEST_SEED") or random.SystemRandom().randrange(10**9))
    print(f"V6_NODE_TEST_SEED={seed}")
    encrypted(tmp_path, "ours")
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", serve)
    async with TestServer(app) as server:
        config = tmp_path / "node.yaml"
        text = CONFIGURATION.format(port=server.port)
        config.write_text(
            text.replace("api_path: /api", f"api_path: /api, encryption: {{enabled: {str(enabled).lower()}}}")
        )
        ports = unused_port(), unused_port()
        environment = {
            **os.environ,
            "V6_NODE_CONFIG": str(config),
            "V6_NODE_LAUNCHER": str(server.make_url("")).rstrip("/"),
            "V6_NODE_PRIVATE_KEY": str(tmp_path / "ours.pem"),
        }
        with (tmp_path / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", PROGRAM, *map(str, ports), env=environment, stdout=log
            )
        try:
            await listening(ports[1])
            counts, after = Counter[int](), []
            for _ in range(2):
                chance = random.Random(seed)
                for start in range(0, REQUESTS, 10):
                    requests = [garbage(chance) for _ in range(min(10, REQUESTS - start))]
                    for request, (status, body) in zip(
                        requests, await asyncio.gather(*(raw(ports[0], each) for each in requests)), strict=True
                    ):
                        counts[status] += 1
                        assert status < 500, (seed, request[:2], status, body[:300])
                        assert SECRET.encode() not in body, (seed, request[:3], body[:300])
                after.append(memory(process.pid))
            assert counts[403] > 100
            assert counts[400] > 20
            assert counts[200] > 5, counts
            assert after[1] - after[0] < GROWTH, [f"{size / 2**20:.1f} MiB" for size in after]
        finally:
            process.terminate()
            await process.wait()
    lines = (tmp_path / "log").read_text()
    assert SECRET not in lines
    assert "Traceback" not in lines
    assert "BEGIN" not in lines
    assert CONTAINER.split(".")[1] not in lines


async def listening(port: int) -> None:
    async with asyncio.timeout(30), aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.get(f"http://127.0.0.1:{port}/healthz"):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
