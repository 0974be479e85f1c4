"""Hands an algorithm's request to the vantage6 server and the server's answer back, both as streams."""

import asyncio
import binascii
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

import aiohttp
from aiohttp import hdrs, web
from yarl import URL

from launcher.config import ServerAccess
from launcher.serverconnection import http_session
from proxy.refusal import Refusal

log = logging.getLogger(__name__)

DIRECTLY = ServerAccess()
MAX_BODY_BYTES = 2**30
CHUNK_BYTES = 2**18
BINARY = "application/octet-stream"
RETRY_DELAYS = (0.2, 1.0, 3.0)  # seconds
_PASSED_ON = (hdrs.AUTHORIZATION, hdrs.CONTENT_TYPE, hdrs.ACCEPT)
_PASSED_BACK = (hdrs.CONTENT_TYPE, hdrs.CONTENT_ENCODING)
_SERVER_AWAY = frozenset({502, 503, 504})  # said by a gateway in front of the server
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=300)  # seconds; a big result may take any time

Translation = Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent to the server, and its length in bytes where it is known beforehand."""

    data: bytes | AsyncIterator[bytes]
    length: int | None


def body_of(request: web.Request) -> Body | None:
    """The body of an algorithm's request as a stream that ends at the limit; None if there is none.

    Raises:
        Refusal: 413, the announced length is over the limit. The stream raises the same.
    """
    if not request.can_read_body:
        return None
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise too_long(MAX_BODY_BYTES)
    return Body(_limited(request.content.iter_chunked(CHUNK_BYTES)), request.content_length)


def too_long(limit: int) -> Refusal:
    """The refusal of a body of more than `limit` bytes."""
    return Refusal(
        413, f"The request's body is longer than {limit // 2**20} MiB, which is what this node lets through."
    )


async def _limited(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    total = 0
    async for chunk in chunks:
        total += len(chunk)
        if total > MAX_BODY_BYTES:
            raise too_long(MAX_BODY_BYTES)
        yield chunk


class Forwarder:
    """The connection to the server. It has no credentials: every request goes with the algorithm's own token."""

    def __init__(
        self, api_url: str, retry_delays: Sequence[float] = RETRY_DELAYS, access: ServerAccess = DIRECTLY
    ) -> None:
        """Forward to the API at `api_url`, which has no slash at its end; `access` says how to get there."""
        self._api_url = api_url
        self._access = access
        self._retry_delays = retry_delays

    async def __aenter__(self) -> Self:
        self._reading = _session(self._access, limit=0)
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
        self, request: web.Request, body: Body | None, translate: Translation | None = None
    ) -> web.StreamResponse:
        """Send `request` with `body` to the server and stream its answer; `translate` changes a binary answer's bytes.

        Raises:
            Refusal: 400 for a path that leaves the API, 413 for a body over the limit, 502 without an answer.
        """
        url = self._url(request)
        headers = {str(name): request.headers[name] for name in _PASSED_ON if name in request.headers}
        if body and body.length is not None:
            headers[hdrs.CONTENT_LENGTH] = str(body.length)
        async with await self._send(request.method, url, headers, body) as answer:
            return await _pass_back(request, answer, translate)

    def _url(self, request: web.Request) -> URL:
        path = request.rel_url.raw_path
        if any(part in {".", ".."} for part in unquote(path).replace("\\", "/").split("/")):
            raise Refusal(400, "The path has the segment '.' or '..'; send the path of the server's API.")
        query = request.rel_url.raw_query_string
        return URL(f"{self._api_url}{path}{'?' if query else ''}{query}", encoded=True)

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
                unsent = isinstance(error, aiohttp.ClientConnectorError)
                if delay is None or not (repeatable or unsent) or isinstance(error, TimeoutError):
                    raise _unreachable(method, url, error) from error
                log.info("retry", extra={"fields": {"path": url.raw_path, "reason": type(error).__name__}})
            else:
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
        cookie_jar=aiohttp.DummyCookieJar(),  # what the server tells one algorithm is not repeated by another
        skip_auto_headers=(hdrs.USER_AGENT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE),
    )


async def _pass_back(
    request: web.Request, answer: aiohttp.ClientResponse, translate: Translation | None
) -> web.StreamResponse:
    headers = {name: answer.headers[name] for name in _PASSED_BACK if name in answer.headers}
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    chunks: AsyncIterator[bytes] = answer.content.iter_any()
    if translate and answer.ok and answer.content_type == BINARY:
        chunks = translate(chunks)
    elif (length := answer.headers.get(hdrs.CONTENT_LENGTH)) is not None:
        response.content_length = int(length)
    await response.prepare(request)
    try:
        async for chunk in chunks:
            await response.write(chunk)
    except (aiohttp.ClientError, OSError, binascii.Error) as error:
        # The status has been sent. A connection that breaks off tells the algorithm that this is not the whole answer.
        log.warning("answer broke off", extra={"fields": {"path": request.path[:200], "reason": str(error)}})
        if request.transport:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


def _refusal_behind(error: BaseException | None) -> Refusal | None:
    """The refusal that a body's stream raised, which aiohttp wraps into an error of the connection."""
    while error is not None and not isinstance(error, Refusal):
        error = error.__cause__
    return error


def _unreachable(method: str, url: URL, error: Exception) -> Refusal:
    fields = {"method": method, "path": url.raw_path[:200], "reason": f"{type(error).__name__}: {error}"}
    log.warning("server unreachable", extra={"fields": fields})
    return Refusal(502, "The vantage6 server could not be reached by this node; try again later.")
