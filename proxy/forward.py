"""Hands an algorithm's request to the vantage6 server and the server's answer back, both as streams."""

import asyncio
import binascii
import json
import logging
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import hdrs, web
from yarl import URL

from launcher.config.kubernetes import ServerAccess
from launcher.serverconnection import http_session
from launcher.translation import Translation, Undecryptable
from proxy.blobs import translated
from proxy.body import CHUNK_BYTES, Body
from proxy.metrics import SENT, SERVER_ERRORS
from proxy.refusal import Refusal

log = logging.getLogger(__name__)

DIRECTLY = ServerAccess()
IDLE_SECONDS = 10.0  # of a connection to the server; aiohttp looks as often, so it may become twice as many
MAX_HEADER_BYTES = 2**16  # the server repeats a list's query for each link of its pages, and a query may be 8 KiB
HELD_BYTES = 2**20  # of a translated answer: until then a fault in it is an answer of its own
MAX_ASKED_BYTES = 2**26
_ASKED_AT_ONCE = 4  # such answers are held in memory
BINARY, JSON = "application/octet-stream", "application/json"
RETRY_DELAYS = (0.2, 1.0, 3.0)  # seconds
_PASSED_ON = (hdrs.AUTHORIZATION, hdrs.CONTENT_TYPE, hdrs.ACCEPT)
_PASSED_BACK = (hdrs.CONTENT_TYPE, hdrs.CONTENT_ENCODING)
_SERVER_AWAY = frozenset({502, 503, 504})  # said by a gateway in front of the server
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=300)  # seconds; a big result may take any time


class Forwarder:
    """The connection to the server. It has no credentials: every request goes with the algorithm's own token."""

    def __init__(
        self, api_url: str, retry_delays: Sequence[float] = RETRY_DELAYS, access: ServerAccess = DIRECTLY
    ) -> None:
        """Forward to the API at `api_url`, which has no slash at its end; `access` says how to get there."""
        self._api_url = api_url
        self._access = access
        self._retry_delays = retry_delays
        self._asking = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def __aenter__(self) -> Self:
        self._reading = _session(self._access, limit=0, keepalive_timeout=IDLE_SECONDS)
        # A request that must not be sent twice gets a connection of its own: one that was kept open may be closed by
        # the server at that very moment, and then nobody knows whether it has arrived.
        self._writing = _session(self._access, limit=0, force_close=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._reading.close()
        await self._writing.close()

    async def forward(
        self,
        request: web.Request,
        query: Sequence[tuple[str, str]],
        body: Body | None,
        translation: Translation | None = None,
        kind: str = BINARY,
    ) -> web.StreamResponse:
        """Send `request` with these parameters and `body` to the server, and stream its answer.

        Args:
            request: the algorithm's; its path must be on the list.
            query: parameters.
            body: what is sent.
            translation: of a good answer's bytes,
            kind: if they are of this content type.

        Raises:
            Refusal: 409 for an answer that can't be translated, 413 for a body over the limit, 502 without an answer.
        """
        url = self._url(request.rel_url.raw_path, query)
        headers = {str(name): request.headers[name] for name in _PASSED_ON if name in request.headers}
        if body and body.length is not None:
            headers[hdrs.CONTENT_LENGTH] = str(body.length)
        async with await self._send(request.method, url, headers, body) as answer:
            return await _pass_back(
                request, answer, translation if answer.status == 200 and answer.content_type == kind else None
            )

    async def ask(self, request: web.Request, path: str, query: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
        """What the server tells the algorithm that makes `request`, by its token.

        Raises:
            Refusal: the server's own answer if it is no success; 502 without one, or with one that is no JSON object.
        """
        headers = {str(hdrs.AUTHORIZATION): request.headers[hdrs.AUTHORIZATION], str(hdrs.ACCEPT): "application/json"}
        async with self._asking, await self._send("GET", self._url(path, query), headers, None) as answer:
            told = await _told(answer)
            if answer.status != 200:
                raise Refusal(answer.status, str(told.get("msg") or "The vantage6 server refused."))
            return told

    async def pages(
        self, request: web.Request, path: str, query: dict[str, str], size: int
    ) -> AsyncIterator[dict[str, Any]]:
        """Everything in a paginated list of the server; raises as `ask`."""
        page = 1
        while True:
            answer = await self.ask(request, path, [*query.items(), ("per_page", str(size)), ("page", str(page))])
            for entry in answer.get("data") or ():
                yield entry
            if not (answer.get("links") or {}).get("next"):
                return
            page += 1

    def _url(self, path: str, query: Sequence[tuple[str, str]]) -> URL:
        return URL(f"{self._api_url}{path}", encoded=True).with_query(list(query) or None)

    async def _send(self, method: str, url: URL, headers: dict[str, str], body: Body | None) -> aiohttp.ClientResponse:
        repeatable = method == hdrs.METH_GET and body is None
        session = self._reading if repeatable else self._writing
        data = body.data if body else None
        for delay in (*self._retry_delays, None):
            try:
                answer = await session.request(method, url, headers=headers, data=data, allow_redirects=False)
            except (aiohttp.ClientError, OSError) as error:
                if refusal := _refusal_behind(error):
                    raise refusal from None
                SERVER_ERRORS.labels("unreachable").inc()
                unsent = isinstance(error, aiohttp.ClientConnectorError)
                if delay is None or not (repeatable or unsent) or isinstance(error, TimeoutError):
                    raise _unreachable(method, url, error) from error
                log.info("retry", extra={"fields": {"path": url.raw_path, "reason": type(error).__name__}})
            else:
                if answer.status in _SERVER_AWAY:
                    SERVER_ERRORS.labels("away").inc()
                if delay is None or not repeatable or answer.status not in _SERVER_AWAY:
                    return answer
                answer.release()
            await asyncio.sleep(delay)
        raise AssertionError("the last attempt returns or raises")


def _session(access: ServerAccess, **connector: Any) -> aiohttp.ClientSession:
    return http_session(
        access,
        connector=connector,
        timeout=_TIMEOUT,
        auto_decompress=False,
        max_field_size=MAX_HEADER_BYTES,
        cookie_jar=aiohttp.DummyCookieJar(),  # what the server tells one algorithm is not repeated by another
        skip_auto_headers=(hdrs.USER_AGENT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE),
    )


async def _told(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """The JSON object in an answer that is no stream; of an error, also none."""
    raw = bytearray()
    try:
        async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
            raw += chunk
            if len(raw) > MAX_ASKED_BYTES:
                raise Refusal(403, f"What the server says at {answer.url.raw_path} is too large to be looked at.")
        told = json.loads(raw)
    except (aiohttp.ClientError, OSError) as error:
        SERVER_ERRORS.labels("broken off").inc()
        raise _unreachable("GET", answer.url, error) from error
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict):
        return told
    if answer.status != 200:
        return {}
    raise _unreachable("GET", answer.url, ValueError("no JSON object"))


async def _pass_back(
    request: web.Request, answer: aiohttp.ClientResponse, translation: Translation | None
) -> web.StreamResponse:
    headers = {name: answer.headers[name] for name in _PASSED_BACK if name in answer.headers}
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    chunks: AsyncIterator[bytes] = answer.content.iter_any()
    held = b""
    packed = hdrs.CONTENT_ENCODING in answer.headers
    try:
        if translation and not packed:
            chunks = translated(chunks, translation)
            held, whole = await _first(chunks)
            if whole:
                response.content_length = len(held)
        elif (length := answer.headers.get(hdrs.CONTENT_LENGTH)) is not None:
            response.content_length = int(length)
    except (Undecryptable, binascii.Error) as error:
        raise _unreadable(request, error) from error
    except (aiohttp.ClientError, OSError) as error:
        SERVER_ERRORS.labels("broken off").inc()
        raise _unreachable(request.method, answer.url, error) from error
    await response.prepare(request)
    try:
        if held:
            await _write(response, held)
        async for chunk in chunks:
            await _write(response, chunk)
    except (aiohttp.ClientError, OSError, Undecryptable, binascii.Error) as error:
        # The status has been sent. A connection that breaks off tells the algorithm that this is not the whole answer.
        log.warning("answer broke off", extra={"fields": {"path": request.path[:200], "reason": str(error)}})
        if request.transport and not request.transport.is_closing():  # it was not the algorithm that went away
            SERVER_ERRORS.labels("broken off").inc()
            request.transport.abort()
        return response
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, piece: bytes) -> None:
    await response.write(piece)
    SENT.inc(len(piece))


async def _first(chunks: AsyncIterator[bytes]) -> tuple[bytes, bool]:
    """The beginning of an answer, and whether it is the whole."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        if len(held) > HELD_BYTES:
            return bytes(held), False
    return bytes(held), True


def _unreadable(request: web.Request, error: Exception) -> Refusal:
    SERVER_ERRORS.labels("unreadable").inc()
    log.error("a result can't be decrypted", extra={"fields": {"path": request.path[:200], "reason": str(error)}})
    return Refusal(
        409,
        f"What the server has can't be decrypted by this node: {error}. It was sent to another organization, or before "
        "this node's private key was changed; if it is the result of a subtask, run the task again.",
    )


def _refusal_behind(error: BaseException | None) -> Refusal | None:
    """The refusal that a body's stream raised, which aiohttp wraps into an error of the connection."""
    while error is not None and not isinstance(error, Refusal):
        error = error.__cause__
    return error


def _unreachable(method: str, url: URL, error: Exception) -> Refusal:
    fields = {"method": method, "path": url.raw_path[:200], "reason": f"{type(error).__name__}: {error}"}
    log.warning("server unreachable", extra={"fields": fields})
    return Refusal(502, "The vantage6 server could not be reached by this node; try again later.")
