"""What algorithms see: the server's API as vantage6-algorithm-tools 4.x uses it, narrowed to their own tasks.

In an unencrypted collaboration inputs and results are base64 text on both sides, so requests and answers pass unchanged
(AlgorithmClient encodes inputs itself and decodes `data[].result`); only blobs are translated. In an encrypted one the
proxy encrypts and decrypts, and to an algorithm it looks the same.
"""

import asyncio
import contextlib
import io
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import hdrs, web

from launcher.encryption import Encrypted, Plain
from proxy import metrics
from proxy.bearer import Container, container_of
from proxy.blobs import translated
from proxy.body import Body, body_of, in_chunks, limited
from proxy.encrypting import Encrypting
from proxy.forward import BINARY, JSON, Forwarder
from proxy.kinship import Kinship
from proxy.narrowing import Request, check_new_task, narrowed, task_of
from proxy.refusal import Refusal
from proxy.whose import Whose

log = logging.getLogger(__name__)

MAX_TASK_BYTES = 2**26  # a new task is read whole; larger inputs are for the server's blob store
LARGE_TASK_BYTES = 2**20  # one that is larger takes up to five times its size in memory: one at a time
READ_SECONDS = 300.0  # for such a one, since others wait


@dataclass(frozen=True, slots=True)
class Proxy:
    """What the routes need."""

    forwarder: Forwarder
    whose: Whose
    kinship: Kinship
    encrypting: Encrypting
    large_tasks: asyncio.Semaphore


PROXY = web.AppKey("proxy", Proxy)
CONTAINER = web.RequestKey("container", Container)
ROUTE = web.RequestKey("route", str)


def application(forwarder: Forwarder, whose: Whose, cryptor: Plain | Encrypted | None = None) -> web.Application:
    """The server for algorithms.

    Args:
        forwarder: the way to the server.
        whose: tells this node's algorithms from others.
        cryptor: this organization's encryption; by default there is none.
    """
    app = web.Application(middlewares=[counting, answering])
    app[PROXY] = Proxy(
        forwarder, whose, Kinship(forwarder), Encrypting(cryptor or Plain(), forwarder), asyncio.Semaphore(1)
    )
    app.router.add_route("*", "/{path:.*}", serve)
    return app


def status_application() -> web.Application:
    """The server for kubelet's probes, on a port of its own that no algorithm reaches."""
    app = web.Application()
    app.router.add_get("/healthz", healthy)
    return app


async def healthy(_: web.Request) -> web.Response:
    """Alive: the event loop answers. Whether the vantage6 server does is no reason to restart this process."""
    return web.json_response({"status": "ok"})


@web.middleware
async def counting(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Counts and times requests, however they end."""
    began, status = time.monotonic(), None
    with metrics.IN_PROGRESS.track_inprogress():
        try:
            response = await handler(request)
            status = response.status
        finally:
            metrics.count(request.get(ROUTE, metrics.NO_ROUTE), status, time.monotonic() - began)
    if isinstance(response, web.Response) and isinstance(response.body, bytes):  # others count as they are sent
        metrics.SENT.inc(len(response.body))
    return response


@web.middleware
async def answering(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Lets algorithms in, answers refusals, and writes one log line; never a token, a body or a query's values."""
    began = time.monotonic()
    task_id = None
    try:
        container = container_of(request.headers.get(hdrs.AUTHORIZATION))
        task_id = container.task_id
        await request.app[PROXY].whose.check(container)
        request[CONTAINER] = container
        response = await handler(request)
    except Refusal as refusal:
        response = refusal.response()
    fields = {
        "method": request.method,
        "path": request.path[:200],
        "status": response.status,
        "task_id": task_id,
        "seconds": round(time.monotonic() - began, 4),
    }
    log.info("request", extra={"fields": fields})
    return response


async def serve(request: web.Request) -> web.StreamResponse:
    """What is on the list, for who may ask for it."""
    proxy, container = request.app[PROXY], request[CONTAINER]
    asked = narrowed(request, container)
    request[ROUTE] = asked.kind
    if packing := request.headers.get(hdrs.CONTENT_ENCODING):
        raise Refusal(415, f"A body in the encoding {packing[:20]!r} is not unpacked; send it as it is.")
    if asked.kind == "create task":
        return await create_task(request, asked)
    if asked.kind == "upload":
        return await upload(request, asked)
    if (task := task_of(asked)) is not None:
        await proxy.kinship.check_task(request, container, task)
    elif asked.kind in {"run", "result"}:
        await proxy.kinship.check_run(request, container, int(asked.id))
    elif asked.kind == "download":
        await proxy.kinship.check_blob(request, container, asked.id)
    if asked.kind == "task status":
        return web.json_response(await task_status(request, asked))
    if asked.kind == "download":
        return await proxy.forwarder.forward(request, asked.query, None, proxy.encrypting.downloading(), BINARY)
    results = asked.kind in {"results", "result"}
    translation = proxy.encrypting.reading_results() if results else None
    return await proxy.forwarder.forward(request, asked.query, None, translation, JSON)


async def task_status(request: web.Request, asked: Request) -> dict[str, Any]:
    """How far a task is, by which the algorithm tools of today wait for it, with a server of any release.

    Releases that don't know the path (4.0.0, 4.5.5) say it where the algorithm tools of their time look: with the task.
    """
    forwarder = request.app[PROXY].forwarder
    try:
        return await forwarder.ask(request, f"/task/{asked.id}/status", asked.query)
    except Refusal as refusal:
        if refusal.status != 404:
            raise
    return {"status": (await forwarder.ask(request, f"/task/{asked.id}")).get("status")}


async def create_task(request: web.Request, asked: Request) -> web.StreamResponse:
    """A subtask. It is written anew, so that the server can't read another in it than was looked at here."""
    proxy = request.app[PROXY]
    small = request.content_length is not None and request.content_length <= LARGE_TASK_BYTES
    async with contextlib.nullcontext() if small else proxy.large_tasks:
        task = await _task_in(request)
        check_new_task(task, request[CONTAINER])
        await proxy.encrypting.seal_inputs(request, task["organizations"])
        body = _written(task)
        del task
        return await proxy.forwarder.forward(request, asked.query, Body(in_chunks(body), len(body)))


async def _task_in(request: web.Request) -> dict[str, Any]:
    raw = io.BytesIO()
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for piece in limited(request, MAX_TASK_BYTES):
                raw.write(piece)
    except TimeoutError:
        raise Refusal(408, f"The new task did not arrive within {READ_SECONDS:.0f} seconds; send it again.") from None
    try:
        task = orjson.loads(raw.getbuffer())
    except ValueError:
        task = None
    if not isinstance(task, dict):
        raise Refusal(400, "The body of a new task is not JSON; send a JSON object.")
    return task


def _written(task: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(task)
    except orjson.JSONEncodeError:  # it writes less deep a nesting than it reads
        raise Refusal(400, "The new task is nested too deeply; send it flatter.") from None


async def upload(request: web.Request, asked: Request) -> web.StreamResponse:
    """A large input, for the server's blob store."""
    proxy = request.app[PROXY]
    translation = proxy.encrypting.uploading(request.headers.get("X-Public-Key"))
    body = body_of(request)
    if body is not None:
        length = None if body.length is None else translation.length(body.length)
        body = Body(translated(body.data, translation), length)
    return await proxy.forwarder.forward(request, asked.query, body)
