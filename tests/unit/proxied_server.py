"""A stand-in for the vantage6 server, and the proxy in front of it, on loopback."""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from launcher.encryption import Encrypted
from proxy.app import application
from proxy.forward import Forwarder
from proxy.whose import Whose

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def token(subject: Any) -> str:
    """A JSON Web Token whose signature nobody here can check."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256"}, {"sub": subject})]
    return ".".join([base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts] + ["c2lnbmF0dXJl"])


NODE = {"node_id": 4, "organization_id": 2, "collaboration_id": 3}
SUBJECT = {
    "client_type": "container",
    **NODE,
    "study_id": None,
    "task_id": 7,
    "image": "img",
    "databases": [{"label": "default"}],
}
CONTAINER = token(SUBJECT)
TASK = {"image": "img", "collaboration_id": 3, "organizations": [{"id": 1, "input": "e30="}], "databases": []}
BLOB = "0f9f4b7e-0000-4000-8000-000000000000"
CLOSES = {"Connection": "close"}
HEADERS = {"Authorization": f"Bearer {CONTAINER}"}


class Server:
    """A stand-in for the vantage6 server: `seen` keeps method, path, headers and body, and `answer` decides then.

    `blobs` are the results of task 8, a child of task 7.
    `handle_stream`, if it is set, gets requests before their body was read.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Handler = self._ok
        self.handle_stream: Handler | None = None
        self.blobs: list[str] = []

    async def _ok(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"data": []})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.blobs and request.path == "/api/task":
            assert request.query["parent_id"] == "7"
            return web.json_response({"data": [{"id": 8}], "links": {}})
        if self.blobs and request.path == "/api/result":
            found = [{"result": blob, "blob_storage_used": True} for blob in self.blobs]
            return web.json_response({"data": found, "links": {}})
        if self.handle_stream:
            return await self.handle_stream(request)
        body = await request.read()
        self.seen.append((request.method, request.raw_path, dict(request.headers), body))
        return await self.answer(request)

    def answers(self, status: int, body: bytes = b"{}", content_type: str = "application/json") -> None:
        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status, body=body, content_type=content_type)

        self.answer = answer


@asynccontextmanager
async def whose() -> AsyncIterator[Whose]:
    """What the launcher says of this node: it is `NODE`."""

    async def identity(_: web.Request) -> web.StreamResponse:
        return web.json_response(NODE)

    app = web.Application()
    app.router.add_get("/identity", identity)
    async with TestServer(app) as launcher:
        yield Whose(str(launcher.make_url("")).rstrip("/"), patience=0)


@asynccontextmanager
async def proxied(server: Server, cryptor: Encrypted | None = None) -> AsyncIterator[TestClient[Any, Any]]:
    """A client of the proxy before `server`, with an algorithm's token."""
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", server.handle)
    async with (
        whose() as ours,
        TestServer(app) as upstream,
        # By name, because clients keep no cookies of a bare address.
        Forwarder(str(upstream.make_url("/api").with_host("localhost")), (0.01, 0.01)) as forwarder,
        TestClient(TestServer(application(forwarder, ours, cryptor)), headers=HEADERS) as client,
    ):
        yield client
