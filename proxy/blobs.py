"""Blobs as streams: base64 or encrypted at the server, plain bytes at the algorithm.

Where a server keeps large inputs and results in a blob store, vantage6 4.x nodes put what is not encrypted there as
base64 (the stream functions of CryptorBase in vantage6-common), and algorithms rely on the proxy to translate.
"""

from collections.abc import AsyncIterator

from launcher.translation import Translation


async def translated(chunks: AsyncIterator[bytes], translation: Translation) -> AsyncIterator[bytes]:
    """The stream in other bytes; raises what `translation` raises."""
    async for chunk in chunks:
        if piece := translation.update(chunk):
            yield piece
    if piece := translation.finish():
        yield piece
