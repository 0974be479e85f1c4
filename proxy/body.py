"""The bodies of requests, as streams that end at a limit."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from proxy.metrics import RECEIVED
from proxy.refusal import Refusal

MAX_BODY_BYTES = 2**30
CHUNK_BYTES = 2**18


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent to the server, and its length in bytes where it is known beforehand."""

    data: AsyncIterator[bytes]
    length: int | None


def body_of(request: web.Request) -> Body | None:
    """The body of an algorithm's request as a stream that ends at the limit; None if there is none.

    Raises:
        Refusal: 413, the announced length is over the limit. The stream raises as `limited`.
    """
    if not request.can_read_body:
        return None
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_long(MAX_BODY_BYTES)
    return Body(limited(request, MAX_BODY_BYTES), request.content_length)


async def in_chunks(content: bytes) -> AsyncIterator[bytes]:
    """What is in memory, a chunk at a time: aiohttp would copy the whole to put the headers before it."""
    for start in range(0, len(content), CHUNK_BYTES):
        yield content[start : start + CHUNK_BYTES]


async def limited(request: web.Request, limit: int) -> AsyncIterator[bytes]:
    """The pieces of a request's body.

    Raises:
        Refusal: 413 for more than `limit` bytes, 400 if it ends before its end.
    """
    total = 0
    try:
        async for chunk in request.content.iter_chunked(CHUNK_BYTES):
            total += len(chunk)
            RECEIVED.inc(len(chunk))
            if total > limit:
                raise _too_long(limit)
            yield chunk
    except (ConnectionError, web.RequestPayloadError):
        raise Refusal(400, "The request's body broke off; send the whole of it.") from None


def _too_long(limit: int) -> Refusal:
    return Refusal(
        413, f"The request's body is longer than {limit // 2**20} MiB, which is what this node lets through."
    )
