"""A reverse proxy before the real server that writes down every exchange: the judge of what was delivered.

It runs in a thread of the test's process, and passes everything on as it is: REST, socket.io's long polling and its
websockets. Redirects and links stay right because the Host header is passed on too.
"""

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

# Of this hop only (RFC 9110, 7.6.1), or made again by aiohttp.
HOP = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "te",
    "trailer",
    "content-length",
    "content-encoding",
}


@dataclass(frozen=True)
class Exchange:
    """A request and the server's answer to it."""

    at: float  # seconds, time.time(), when the request came in
    seconds: float
    method: str
    path: str
    body: Any  # the JSON of the request, else None
    status: int
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Recorder:
    """Listens on an address of this machine and forwards to `target`, a base such as http://127.0.0.1:1234."""

    address: str
    target: str
    port: int = 0
    # Speaks TLS with this certificate and key.
    tls: tuple[Path, Path] | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    # Called with (method, path, body) before a request is passed on; an HTTP status as the answer drops the request.
    intercept: Callable[[str, str, Any], int | None] | None = None
    # Called with an exchange once the server answered; true keeps the answer back until the client gives up.
    withhold: Callable[[Exchange], bool] | None = None
    # Called with (whether the server said it, text) for each text that passes a websocket.
    overhear: Callable[[bool, str], None] | None = None
    # Called with an exchange and the body of the server's answer; returns the body that is passed on.
    replace: Callable[[Exchange, bytes], bytes] | None = None
    # Called with what the server says on a websocket; returns what is passed on, and each after how many seconds.
    retell: Callable[[str], list[tuple[float, str]]] | None = None

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()

    def __enter__(self) -> "Recorder":
        ready: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve(ready)), daemon=True)
        self._thread.start()
        self.port = ready.result(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def deliveries(self, run_id: int) -> list[Exchange]:
        """Return the requests that ended a run (PATCH with finished_at) and that the server accepted."""
        return [each for each in self.patches(run_id) if each.status == 200 and (each.body or {}).get("finished_at")]

    def patches(self, run_id: int) -> list[Exchange]:
        return [each for each in self.exchanges if each.method == "PATCH" and each.path.endswith(f"/run/{run_id}")]

    async def _serve(self, ready: "Future[int]") -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        async with aiohttp.ClientSession(
            auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)
        ) as self._http:
            await runner.setup()
            try:
                site = web.TCPSite(runner, self.address, self.port, ssl_context=self._tls())
                await site.start()
                ready.set_result(runner.addresses[0][1])
                await self._stop.wait()
            except OSError as error:
                ready.set_exception(error)
            finally:
                await runner.cleanup()

    def _tls(self) -> ssl.SSLContext | None:
        if self.tls is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.tls)
        return context

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(request)
        began, clock = time.time(), time.monotonic()
        content = await request.read()
        body = _json(content)
        if self.intercept and (status := self.intercept(request.method, request.path, body)):
            return web.Response(status=status)
        url = self.target + request.path_qs
        try:
            async with self._http.request(
                request.method, url, data=content, headers=_headers(request.headers), allow_redirects=False
            ) as answer:
                payload = await answer.read()
        except aiohttp.ClientError as error:
            return web.Response(status=502, text=str(error))
        seconds = time.monotonic() - clock
        asked = request.method, request.path, body
        headers = dict(request.headers)
        exchange = Exchange(began, seconds, *asked, answer.status, query=request.query_string, headers=headers)
        self.exchanges.append(exchange)
        if self.withhold and self.withhold(exchange):
            await self._stop.wait()
        if self.replace:
            payload = self.replace(exchange, payload)
        keep = {k: v for k, v in answer.headers.items() if k.lower() not in HOP - {"content-encoding"}}
        return web.Response(status=answer.status, body=payload, headers=keep)

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        here = web.WebSocketResponse(max_msg_size=0)
        await here.prepare(request)
        keep = {k: v for k, v in _headers(request.headers).items() if not k.lower().startswith("sec-websocket")}
        async with self._http.ws_connect(self.target + request.path_qs, headers=keep, max_msg_size=0) as there:
            directions = [
                asyncio.ensure_future(self._pass_on(here, there, of_server=False)),
                asyncio.ensure_future(self._pass_on(there, here, of_server=True)),
            ]
            _, pending = await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            for each in pending:
                each.cancel()
        await here.close()
        return here

    async def _pass_on(
        self,
        source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
        target: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
        *,
        of_server: bool,
    ) -> None:
        async for message in source:
            if message.type is aiohttp.WSMsgType.TEXT:
                if self.overhear:
                    self.overhear(of_server, message.data)
                retold = self.retell(message.data) if self.retell and of_server else [(0.0, message.data)]
                for seconds, text in retold:
                    if seconds:
                        asyncio.get_running_loop().call_later(seconds, _tell_later, target, text)
                    else:
                        await target.send_str(text)
            elif message.type is aiohttp.WSMsgType.BINARY:
                await target.send_bytes(message.data)


def _tell_later(target: web.WebSocketResponse | aiohttp.ClientWebSocketResponse, text: str) -> None:
    async def tell() -> None:
        with contextlib.suppress(ConnectionError):  # it ended meanwhile
            await target.send_str(text)

    _telling.add(task := asyncio.ensure_future(tell()))
    task.add_done_callback(_telling.discard)


_telling: set["asyncio.Task[None]"] = set()


def _headers(headers: Any) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key.lower() not in HOP}


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
