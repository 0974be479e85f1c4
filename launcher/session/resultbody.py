"""The body of a delivery, made as it is sent: a result of 256 MiB would otherwise be in memory four times."""

import base64
import json
from collections.abc import AsyncIterator

_PIECE = 3 * 2**18  # bytes; a multiple of three, so that the pieces' base64 can be joined


class ResultBody:
    """A JSON object with `fields` and, as base64, the result.

    Args:
        fields: everything else that the object has.
        result: bytes as the algorithm wrote them.
    """

    def __init__(self, fields: dict[str, str], result: bytes) -> None:
        self._head = json.dumps(fields)[:-1].encode() + b', "result": "'
        self._result = memoryview(result)
        self._tail = b'"}'

    @property
    def headers(self) -> dict[str, str]:
        """What goes with it: not every WSGI server takes a body of unknown length."""
        length = len(self._head) + 4 * -(-len(self._result) // 3) + len(self._tail)
        return {"Content-Type": "application/json", "Content-Length": str(length)}

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, from its beginning each time it is asked for."""
        yield self._head
        for start in range(0, len(self._result), _PIECE):
            yield base64.b64encode(self._result[start : start + _PIECE])
        yield self._tail
