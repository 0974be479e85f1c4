"""How much memory large inputs and results take: of the launcher and of the proxy, each a process of its own.

The server is a stand-in that makes and takes content as it goes: the real one holds everything several times over.
That the real one and real clients understand it, is judged in test_encryption.py and test_blobstore.py.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import jwt
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from launcher.encryption import Encrypted, Plain
from tests import figures
from tests.stage.proxy_process import allocator, proxy_process
from tests.unit.keys import encrypted
from tests.unit.proxied_server import CONTAINER, NODE, TASK

MIB = 2**20
VALUES = yaml.safe_load((Path(__file__).parents[2] / "charts/v6-node/values.yaml").read_text())
SIZES = [pytest.param(32, id="32 MiB"), pytest.param(256, id="256 MiB", marks=pytest.mark.slow)]
PIECE = b'{"x": "' + b"y" * (MIB - 9) + b'"}'


class LargeServer:
    """Says that a run's input, and results, are `mib` pieces; keeps a digest of the result that is delivered."""

    def __init__(self, mib: int, cryptor: Plain | Encrypted) -> None:
        self._mib, self._cryptor = mib, cryptor
        self.delivered = ""
        self.tasks = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        known = {
            "/api/token/node": {"access_token": self._token(), "refresh_token": "x"},
            "/api/node/4": {"id": 4, "name": "n", "organization": {"id": 2}, "collaboration": {"id": 3}},
            "/api/collaboration/3": {"encrypted": isinstance(self._cryptor, Encrypted)},
            "/api/blobstream/status": {"blob_store_enabled": False},
            "/api/organization/2": {"public_key": self._cryptor.public_key},
        }
        if request.path in known:
            return web.json_response(known[request.path])
        if request.method == "PATCH" and (request.content_length or 0) > MIB:
            self.delivered = await self._digest(request)
            return web.json_response({"id": 1, "input": ""})
        if request.path == "/api/task":
            size = sum([len(piece) async for piece in request.content.iter_any()])
            assert size > 60 * MIB
            self.tasks += 1
            return web.json_response({"id": 8}, status=201)
        name = "input" if request.method == "PATCH" else "result"
        return await self._tell(request, name)

    @staticmethod
    def _token() -> str:
        return jwt.encode({"sub": 4, "iat": 0, "exp": 10**6}, "x" * 32, algorithm="HS256")

    async def _digest(self, request: web.Request) -> str:
        body = json.loads(await request.read())
        text = await asyncio.to_thread(lambda: self._read(body["result"]))
        return hashlib.sha256(text).hexdigest()

    def _read(self, text: str) -> bytes:
        if isinstance(self._cryptor, Plain):
            return base64.b64decode(text)
        opening = self._cryptor.from_blob()
        header, _, content = text.rpartition("$")
        return opening.update(f"{header}$".encode() + base64.b64decode(content))

    async def _tell(self, request: web.Request, name: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        sealing = self._cryptor.for_text(self._cryptor.public_key)
        await response.write(b'{"id": 1, "%s": "' % name.encode())
        for _ in range(self._mib):
            await response.write(sealing.update(PIECE))
        await response.write(sealing.finish() + b'"}')
        await response.write_eof()
        return response


@pytest.fixture(params=[True, False], ids=["encrypted", "plain"])
def cryptor(request: pytest.FixtureRequest, tmp_path: Path) -> Plain | Encrypted:
    return encrypted(tmp_path, "ours") if request.param else Plain()


@contextlib.asynccontextmanager
async def large_server(mib: int, cryptor: Plain | Encrypted) -> AsyncIterator[tuple[LargeServer, int]]:
    server = LargeServer(mib, cryptor)
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", server.handle)
    async with TestServer(app) as upstream:
        assert upstream.port
        yield server, upstream.port


def key(cryptor: Plain | Encrypted, folder: Path) -> Path | None:
    return folder / "ours.pem" if isinstance(cryptor, Encrypted) else None


def judge(who: str, what: str, mib: int, *, before: int, peak: int, most: float) -> None:
    """The growth is at most so many bytes for each of the content's and 24 MiB; with 256 MiB, it fits the chart."""
    grown = peak - before
    figures.note(
        "memory for large content",
        f"{who}, {what} of {mib} MiB: from {before / MIB:.0f} to {peak / MIB:.0f} MiB, {grown / mib / MIB:.2f} a byte",
    )
    assert grown < most * mib * MIB + 24 * MIB
    limit = VALUES[who]["resources"]["limits"]["memory"]
    assert peak < 0.8 * int(limit[:-2]) * {"Mi": MIB, "Gi": 2**30}[limit[-2:]]


async def launcher(what: str, port: int, folder: Path, key: Path | None) -> dict[str, int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.server.large_run", what, str(port), str(key or "plain"), str(folder),
        env={**os.environ, **allocator()}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said
    return json.loads(said)


@pytest.mark.parametrize("mib", SIZES)
async def test_an_input_is_held_once(tmp_path: Path, cryptor: Plain | Encrypted, mib: int) -> None:
    async with large_server(mib, cryptor) as (_, port):
        took = await launcher("take", port, tmp_path, key(cryptor, tmp_path))
    assert (tmp_path / "input").stat().st_size == mib * MIB
    assert (tmp_path / "input").read_bytes() == PIECE * mib
    judge("launcher", f"{kind(cryptor)} input", mib, **took, most=1.3)


@pytest.mark.parametrize("mib", SIZES)
async def test_a_result_is_held_once(tmp_path: Path, cryptor: Plain | Encrypted, mib: int) -> None:
    (tmp_path / "output").write_bytes(PIECE * mib)
    async with large_server(mib, cryptor) as (server, port):
        took = await launcher("deliver", port, tmp_path, key(cryptor, tmp_path))
    assert server.delivered == hashlib.sha256(PIECE * mib).hexdigest()
    judge("launcher", f"{kind(cryptor)} result", mib, **took, most=1.3)


@pytest.mark.parametrize("mib", SIZES)
async def test_a_result_passes_the_proxy_in_pieces(tmp_path: Path, cryptor: Plain | Encrypted, mib: int) -> None:
    async with (
        large_server(mib, cryptor) as (_, port),
        proxy_process(tmp_path, port, NODE, key(cryptor, tmp_path)) as proxy,
    ):
        headers = {"Authorization": f"Bearer {CONTAINER}"}
        async with aiohttp.ClientSession(proxy.url, headers=headers) as algorithm:
            await (await algorithm.get("/organization/2")).read()
            before = proxy.memory()
            async with algorithm.get("/result?task_id=7") as answer:
                said = json.loads(await answer.read())["result"]
        peak = proxy.peak()
    assert base64.b64decode(said) == PIECE * mib
    judge("proxy", f"{kind(cryptor)} result", mib, before=before, peak=peak, most=0.05)


async def test_new_tasks_of_the_largest_size_fit_the_proxy(tmp_path: Path, cryptor: Plain | Encrypted) -> None:
    at_once = 4
    text = base64.b64encode(bytes(45 * MIB)).decode()
    task = json.dumps({**TASK, "organizations": [{"id": 2, "input": text}]}).encode()
    async with (
        large_server(1, cryptor) as (server, port),
        proxy_process(tmp_path, port, NODE, key(cryptor, tmp_path)) as proxy,
    ):
        headers = {"Authorization": f"Bearer {CONTAINER}"}
        async with aiohttp.ClientSession(proxy.url, headers=headers) as algorithm:
            await (await algorithm.get("/organization/2")).read()
            before = proxy.memory()
            answers = await asyncio.gather(*(algorithm.post("/task", data=task) for _ in range(at_once)))
        peak = proxy.peak()
    assert [answer.status for answer in answers] == [201] * at_once
    assert server.tasks == at_once
    judge("proxy", f"{at_once} {kind(cryptor)} new tasks", 60, before=before, peak=peak, most=5.5)


def kind(cryptor: Plain | Encrypted) -> str:
    return "encrypted" if isinstance(cryptor, Encrypted) else "plain"
