"""Results on their way to an algorithm: decrypted inside the JSON that carries them, without ever holding one.

A page of results may be larger than this process's memory. So the JSON is read as a stream of strings: what follows a
key `result` is decrypted and written as base64, in the form in which AlgorithmClient expects it; all else stays.
"""

import re
from collections.abc import Callable

from launcher.encryption import FromBase64, ToBase64, Translation, Undecryptable

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_RESULT = re.compile(rb'"result"[ \t\r\n]*:[ \t\r\n]*"')
_MAYBE_RESULT = re.compile(rb'"result"[ \t\r\n]*(:[ \t\r\n]*)?')
_MAX_HEADER_BYTES = 2**13


class DecryptedResults:
    """Decrypts the results in a JSON answer of the server.

    Args:
        decrypting: makes what decrypts one, given as a blob.
    """

    def __init__(self, decrypting: Callable[[], Translation]) -> None:
        self._decrypting = decrypting
        self._rest = b""
        self._result: _Result | None = None

    def update(self, piece: bytes) -> bytes:
        """The JSON with `piece`, as far as it can be told.

        Raises:
            Undecryptable: a result is not for this node's key.
        """
        self._rest += piece
        said: list[bytes] = []
        while self._rest and (self._in_result(said) if self._result else self._between(said)):
            pass
        return b"".join(said)

    def finish(self) -> bytes:
        """The end of the JSON."""
        rest, self._rest = self._rest, b""
        return rest

    def _between(self, said: list[bytes]) -> bool:
        """Pass on what is no result; returns whether one begins."""
        at = 0
        while (quote := self._rest.find(b'"', at)) >= 0:
            if begin := _RESULT.match(self._rest, quote):
                self._say(said, begin.end())
                self._result = _Result(self._decrypting())
                return True
            string = _STRING.match(self._rest, quote)
            if string is None or _MAYBE_RESULT.fullmatch(self._rest, quote):
                self._say(said, quote)  # the rest will tell
                return False
            at = string.end()
        self._say(said, len(self._rest))
        return False

    def _in_result(self, said: list[bytes]) -> bool:
        """Decrypt; returns whether the result has ended."""
        assert self._result is not None
        end = self._rest.find(b'"')
        text, self._rest = (self._rest, b"") if end < 0 else (self._rest[:end], self._rest[end:])
        said.append(self._result.update(text))
        if end < 0:
            return False
        said.append(self._result.finish())
        self._result = None
        self._say(said, 1)
        return True

    def _say(self, said: list[bytes], until: int) -> None:
        said.append(self._rest[:until])
        self._rest = self._rest[until:]


class _Result:
    """One result: `key$iv$content` in base64 becomes the content in base64; anything shorter stays as it is.

    What has no two `$` is nothing (a run without a result), or the id of a blob.
    """

    def __init__(self, decrypt: Translation) -> None:
        self._decrypt = decrypt
        self._header: bytes | None = b""
        self._from, self._to = FromBase64(), ToBase64()

    def update(self, text: bytes) -> bytes:
        if self._header is None:
            return self._to.update(self._decrypt.update(self._from.update(text)))
        self._header += text
        if self._header.count(b"$") < 2:
            if len(self._header) > _MAX_HEADER_BYTES:
                raise Undecryptable("it is not in vantage6's encrypted form")
            return b""
        key, iv, content = self._header.split(b"$", 2)
        self._header = None
        self._decrypt.update(b"$".join([key, iv, b""]))
        return self.update(content)

    def finish(self) -> bytes:
        if self._header is not None:
            return self._header
        last = self._decrypt.update(self._from.finish()) + self._decrypt.finish()
        return self._to.update(last) + self._to.finish()
