"""Results on their way to an algorithm: decrypted inside the JSON that carries them, without ever holding one.

A page of results may be larger than this process's memory. So the JSON is read as a stream of strings: what follows a
key `result` is decrypted and written as base64, in the form in which AlgorithmClient expects it; all else stays.
"""

from collections.abc import Callable

from launcher.jsonfield import JsonField
from launcher.translation import MAX_HEADER_BYTES, NO_MESSAGE, ToBase64, Translation, Undecryptable


class DecryptedResults(JsonField):
    """Decrypts the results in a JSON answer of the server; raises `Undecryptable` for one that is not for our key.

    Args:
        decrypting: makes what decrypts one, given as text.
    """

    def __init__(self, decrypting: Callable[[], Translation]) -> None:
        super().__init__("result", lambda: _Result(decrypting()))


class _Result:
    """One result: `key$iv$content` in base64 becomes the content in base64; anything shorter stays as it is.

    What has no two `$` is nothing (a run without a result), or the id of a blob.
    """

    def __init__(self, decrypt: Translation) -> None:
        self._decrypt = decrypt
        self._header: bytes | None = b""
        self._to = ToBase64()

    def update(self, text: bytes) -> bytes:
        if self._header is not None:
            self._header += text
            if self._header.count(b"$") < 2:
                if len(self._header) > MAX_HEADER_BYTES:
                    raise Undecryptable(NO_MESSAGE)
                return b""
            text, self._header = self._header, None
        return self._to.update(self._decrypt.update(text))

    def finish(self) -> bytes:
        if self._header is not None:
            return self._header
        return self._to.update(self._decrypt.finish()) + self._to.finish()
