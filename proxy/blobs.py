"""Blobs of an unencrypted collaboration: base64 at the server, plain bytes at the algorithm.

Where a server keeps large inputs and results in a blob store, vantage6 4.x nodes put what is not encrypted there as
base64 (the stream functions of CryptorBase in vantage6-common), and algorithms rely on the proxy to translate.
"""

import base64
from collections.abc import AsyncIterator


def encoded_length(length: int) -> int:
    """Number of bytes that `length` bytes have in base64, padding included."""
    return -(-length // 3) * 4


async def encode(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Plain bytes to base64; chunks are cut at multiples of three, so that only the end is padded."""
    async for block in _blocks(chunks, 3):
        yield base64.b64encode(block)


async def decode(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Base64 to plain bytes; missing padding at the end is accepted, as by vantage6's own node.

    Raises:
        binascii.Error: the stream is not base64.
    """
    async for block in _blocks(chunks, 4):
        yield base64.b64decode(block + b"=" * (-len(block) % 4))


async def _blocks(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in chunks:
        rest += chunk
        whole = len(rest) - len(rest) % size
        if whole:
            yield rest[:whole]
            rest = rest[whole:]
    if rest:
        yield rest
