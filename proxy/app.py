"""The routes that algorithms see: the server's API as vantage6-algorithm-tools 4.x uses it.

In an unencrypted collaboration inputs and results are base64 text on both sides, so requests and answers pass unchanged
(AlgorithmClient encodes inputs itself and decodes `data[].result`); only blobs are translated.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from proxy import blobs
from proxy.bearer import container_of
from proxy.forward import Body, Forwarder, body_of, too_long
from proxy.refusal import Refusal

log = logging.getLogger(__name__)

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
MAX_TASK_BYTES = 2**26  # a new task is read whole; larger inputs are for the server's blob store

FORWARDER = web.AppKey("forwarder", Forwarder)


def application(forwarder: Forwarder) -> web.Application:
    """The server for algorithms."""
    app = web.Application(middlewares=[answering], client_max_size=MAX_TASK_BYTES)
    app[FORWARDER] = forwarder
    app.router.add_post("/task", create_task)
    app.router.add_get("/result", list_results, allow_head=False)
    app.router.add_post("/blobstream", upload_blob)
    app.router.add_get("/blobstream/{id}", download_blob, allow_head=False)
    app.router.add_route("*", "/{path:.*}", anything)
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
async def answering(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Lets algorithms in, answers refusals, and writes one log line; never a token, a body or a query's values."""
    began = time.monotonic()
    task_id = None
    try:
        if request.method not in METHODS:
            raise Refusal(405, f"The method {request.method} is not forwarded; use one of {', '.join(METHODS)}.")
        task_id = container_of(request.headers.get(hdrs.AUTHORIZATION)).task_id
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


async def create_task(request: web.Request) -> web.StreamResponse:
    """A subtask: it must say for which organizations it is."""
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_long(MAX_TASK_BYTES) from None
    try:
        task = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refusal(400, "The body of a new task is not JSON; send a JSON object.") from None
    if not isinstance(task, dict) or not task.get("organizations"):
        raise Refusal(400, "Organizations missing from input: give 'organizations', a list of {id, input}.")
    return await request.app[FORWARDER].forward(request, Body(raw, len(raw)))


async def list_results(request: web.Request) -> web.StreamResponse:
    """The results of one task."""
    if not request.query.get("task_id"):
        raise Refusal(400, "No task id found in request from algorithm: give the parameter 'task_id'.")
    return await anything(request)


async def upload_blob(request: web.Request) -> web.StreamResponse:
    """A large input, for the server's blob store."""
    body = body_of(request)
    if body is not None and not isinstance(body.data, bytes):
        length = None if body.length is None else blobs.encoded_length(body.length)
        body = Body(blobs.encode(body.data), length)
    return await request.app[FORWARDER].forward(request, body)


async def download_blob(request: web.Request) -> web.StreamResponse:
    """A large result, from the server's blob store."""
    return await request.app[FORWARDER].forward(request, body_of(request), blobs.decode)


async def anything(request: web.Request) -> web.StreamResponse:
    """Every other call."""
    return await request.app[FORWARDER].forward(request, body_of(request))
