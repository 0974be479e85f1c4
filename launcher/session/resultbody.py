"""The body of a delivery, made as it is sent: a result of 256 MiB would otherwise be in memory four times."""

import json
from collections.abc import AsyncIterator, Callable

from launcher.translation import Encrypt, EncryptText, ToBase64, in_pieces


class Streamed:
    """A result as it goes to a blob store.

    Args:
        result: bytes as the algorithm wrote them.
        translation: makes what encrypts them, or turns them into base64.

    Raises:
        UnusableKey: what `translation` raises.
    """

    content_type = "application/octet-stream"
    _head = _tail = b""

    def __init__(self, result: bytes, translation: Callable[[], Encrypt | EncryptText | ToBase64]) -> None:
        self._result = result
        self._translation = translation
        self._length = translation().length(len(result))

    @property
    def headers(self) -> dict[str, str]:
        """What goes with it: not every WSGI server takes a body of unknown length."""
        length = len(self._head) + self._length + len(self._tail)
        return {"Content-Type": self.content_type, "Content-Length": str(length)}

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, from its beginning each time it is asked for."""
        yield self._head
        for piece in in_pieces(self._result, self._translation()):
            yield piece
        yield self._tail


class ResultBody(Streamed):
    """A JSON object with `fields` and, as text, the result.

    Args:
        fields: everything else that the object has.
        result: bytes as the algorithm wrote them.
        translation: makes what encrypts them, or turns them into base64.
    """

    content_type = "application/json"

    def __init__(
        self, fields: dict[str, str], result: bytes, translation: Callable[[], Encrypt | EncryptText | ToBase64]
    ) -> None:
        super().__init__(result, translation)
        self._head = json.dumps(fields)[:-1].encode() + b', "result": "'
        self._tail = b'"}'
