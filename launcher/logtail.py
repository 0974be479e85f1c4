"""Text of which only the beginning and the end are kept once it gets too long."""


class HeadAndTail:
    """Collects bytes and keeps at most `limit` of them: the first half from the start, the rest from the end."""

    def __init__(self, limit: int) -> None:
        self._head_size = limit // 2
        self._tail_size = limit - self._head_size
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def add(self, chunk: bytes) -> None:
        """Append bytes."""
        room = self._head_size - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        # Cut only now and then: a bytearray moves all its bytes when its front is cut off.
        if len(self._tail) > 2 * self._tail_size:
            self._cut()

    def _cut(self) -> None:
        excess = len(self._tail) - self._tail_size
        if excess > 0:
            del self._tail[:excess]
            self._dropped += excess

    def text(self) -> str:
        """What was kept, as text; where something is left out, a line says how much."""
        self._cut()
        gap = f"\n[... {self._dropped} bytes left out ...]\n".encode() if self._dropped else b""
        # A database behind the server may refuse the character NUL in a text.
        return (
            (bytes(self._head) + gap + bytes(self._tail))
            .decode(errors="replace")
            .replace("\0", "\N{REPLACEMENT CHARACTER}")
        )
