"""One text inside JSON, translated on its way: neither the text nor the JSON around it is ever held as a whole."""

import re
from collections.abc import Callable

from launcher.translation import Translation

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_TEXT = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


class JsonField:
    """JSON in which the texts of one key are translated, as they are written (no escape is undone); all else stays.

    Args:
        key: of the texts.
        translating: makes what translates one.
    """

    def __init__(self, key: str, translating: Callable[[], Translation]) -> None:
        name = re.escape(f'"{key}"'.encode())
        self._field = re.compile(name + rb'[ \t\r\n]*:[ \t\r\n]*"')
        self._maybe_field = re.compile(name + rb"[ \t\r\n]*(:[ \t\r\n]*)?")
        self._translating = translating
        self._rest = b""
        self._text: Translation | None = None

    def update(self, piece: bytes) -> bytes:
        """The JSON with `piece`, as far as it can be told; raises what the translation raises."""
        self._rest += piece
        said: list[bytes] = []
        while self._rest and (self._in_text(said, self._text) if self._text else self._between(said)):
            pass
        return b"".join(said)

    def finish(self) -> bytes:
        """The end of the JSON."""
        rest, self._rest = self._rest, b""
        return rest

    def _between(self, said: list[bytes]) -> bool:
        """Pass on what is no such text; returns whether one begins."""
        at = 0
        while (quote := self._rest.find(b'"', at)) >= 0:
            if begin := self._field.match(self._rest, quote):
                self._say(said, begin.end())
                self._text = self._translating()
                return True
            string = _STRING.match(self._rest, quote)
            if string is None or self._maybe_field.fullmatch(self._rest, quote):
                self._say(said, quote)  # the rest will tell
                return False
            at = string.end()
        self._say(said, len(self._rest))
        return False

    def _in_text(self, said: list[bytes], text: Translation) -> bool:
        """Translate; returns whether the text has ended."""
        end = self._rest.find(b'"')
        end = len(self._rest) if end < 0 else end
        if self._rest.find(b"\\", 0, end) >= 0 and (found := _TEXT.match(self._rest)):  # slower, and seldom needed
            end = found.end()
        said.append(text.update(self._rest[:end]))
        self._rest = self._rest[end:]
        if not self._rest.startswith(b'"'):  # but perhaps with a backslash, of which the rest will tell
            return False
        said.append(text.finish())
        self._text = None
        self._say(said, 1)
        return True

    def _say(self, said: list[bytes], until: int) -> None:
        said.append(self._rest[:until])
        self._rest = self._rest[until:]
