"""What an algorithm does at the server, directly or through the proxy: the same calls to two addresses."""

import asyncio
import base64
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.serverside import API_PATH, Caller
from launcher.translation import FromBase64, ToBase64, Translation
from proxy.blobs import translated
from tests.stage import StageError
from tests.stage.federation import Collaboration, Federation
from tests.stage.proxy_process import ProxyProcess, proxy_process
from tests.stage.server import Server

IMAGE = "localhost/none:1"
_PIECE = 2**20


class Algorithm:
    """An algorithm that runs, as far as the server can tell.

    Args:
        http: carries its calls.
        server: the server.
        collaboration: whose node it runs at.
        blobs: whether the server keeps inputs and results in a blob store.
    """

    def __init__(
        self, http: aiohttp.ClientSession, server: Server, collaboration: Collaboration, *, blobs: bool
    ) -> None:
        self._http = http
        self._blobs = blobs
        self._server = server
        self._collaboration = collaboration
        self._account = collaboration.nodes[0]

    @property
    def identity(self) -> dict[str, int]:
        """What the launcher tells the proxy."""
        organization = self._account.organization.id
        return {
            "node_id": self._account.id,
            "organization_id": organization,
            "collaboration_id": self._collaboration.id,
        }

    async def begin(self) -> None:
        """Have a task, and the token that its algorithm gets."""
        base = f"{self._server.url}:{self._server.port}"
        login = await Caller(self._http, base).call(
            "POST", f"{API_PATH}/token/node", {"api_key": self._account.api_key}
        )
        self._node = Caller(self._http, base, login["access_token"])
        researcher = await asyncio.to_thread(self._collaboration.researcher)
        task = await asyncio.to_thread(researcher.send, IMAGE, "nothing")
        token = await self._node.call("POST", f"{API_PATH}/token/container", {"task_id": task.id, "image": IMAGE})
        self._headers = {"Authorization": f"Bearer {token['container_token']}"}

    async def get(self, base: str, path: str, translation: Translation | None = None) -> int:
        """Read an answer to its end, translated if need be; returns how many bytes it had."""
        async with self._http.get(f"{base}{path}", headers=self._headers) as answer:
            if answer.status != 200:
                raise StageError(f"GET {base}{path} was answered {answer.status}.")
            pieces: AsyncIterator[bytes] = answer.content.iter_any()
            return sum([len(piece) async for piece in (translated(pieces, translation) if translation else pieces)])

    async def download(self, base: str, blob: str) -> int:
        """Read a blob; returns how many bytes it has. Directly, it comes in base64, which is undone here."""
        return await self.get(base, f"/blobstream/{blob}", FromBase64() if base == self._server.api else None)

    async def create(self, base: str, content: bytes = b"{}") -> int:
        """Create a subtask with such an input, in the blob store where there is one; returns its number."""
        text = await self.upload(base, len(content)) if self._blobs else base64.b64encode(content).decode()
        task = {
            "name": "subtask",
            "image": IMAGE,
            "collaboration_id": self._collaboration.id,
            "organizations": [{"id": self._account.organization.id, "input": text}],
        }
        return int((await self._post(f"{base}/task", json.dumps(task).encode(), "application/json"))["id"])

    async def upload(self, base: str, size: int) -> str:
        """Put so many bytes into the blob store as a stream; returns the blob's name. Directly, they go as base64."""

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, size, _PIECE):
                yield bytes(min(_PIECE, size - start))

        sent = translated(pieces(), ToBase64()) if base == self._server.api else pieces()
        return str((await self._post(f"{base}/blobstream", sent, "application/octet-stream"))["uuid"])

    async def _post(self, url: str, data: Any, kind: str) -> dict[str, Any]:
        async with self._http.post(url, data=data, headers={**self._headers, "Content-Type": kind}) as answer:
            if answer.status != 201:
                raise StageError(f"POST {url} was answered {answer.status}: {(await answer.text())[:300]}")
            return dict(await answer.json())

    async def child_with_result(self, base: str, result: str) -> int:
        """Have a subtask whose run ended with this result, text or a blob's name; returns its number."""
        child = await self.create(base)
        answer = await self._node.call("GET", f"{API_PATH}/run", query=f"task_id={child}")
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        ended = {"status": "completed", "finished_at": now, "result": result, "log": ""}
        path = f"{API_PATH}/run/{answer['data'][0]['id']}"
        await self._node.call("PATCH", path, {"started_at": now})
        await self._node.call("PATCH", path, ended)
        return child


@contextlib.asynccontextmanager
async def beside_a_proxy(folder: Path, *, blobs: bool) -> AsyncIterator[tuple[Algorithm, ProxyProcess, str]]:
    """A real server on loopback, an algorithm, its node's proxy, and the base of the server's API."""
    folder.mkdir()
    server = Server(folder / "server", blobs=blobs)
    server.start()
    try:
        federation = Federation(server)
        name = secrets.token_hex(3)
        study = federation.collaboration(f"Study {name}", [federation.organization(f"Hospital {name}")])
        timeout = aiohttp.ClientTimeout(total=600)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            algorithm = Algorithm(http, server, study, blobs=blobs)
            await algorithm.begin()
            async with proxy_process(folder, server.port, algorithm.identity) as proxy:
                yield algorithm, proxy, server.api
    finally:
        server.stop()


async def timed(call: Any) -> float:
    """How many seconds something takes."""
    began = time.perf_counter()
    await call
    return time.perf_counter() - began
