"""Bytes on their way between organizations: to base64 and back, encrypted and decrypted, piece by piece.

The wire format is vantage6's, and made by vantage6-common: a random AES key, encrypted with the receiver's RSA key, an
initialization vector, and what both encrypt. Inputs and results are text, `key$iv$content` in base64; in a blob store
the content follows as bytes. Without encryption either is base64.

vantage6-common's `RSACryptor` reads and writes files; here its generators are fed piece by piece, so that nothing has
to be in memory as a whole.
"""

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Any, Protocol

PIECE_BYTES = 2**20
_SEPARATOR = b"$"
NO_MESSAGE = "it is not in vantage6's encrypted form"
_OTHER_KEY = "it was encrypted for another key"
MAX_HEADER_BYTES = 2**13  # an RSA key of 16384 bits encrypts to 2732 characters of base64


class Undecryptable(Exception):  # noqa: N818  a fact about a message
    """A message was not encrypted for this key, or is no message of vantage6's; the text says which."""


class UnusableKey(Exception):  # noqa: N818  a fact about a key
    """A public key with which nothing can be encrypted."""


class Translation(Protocol):
    """Bytes to other bytes, piece by piece; of `finish` comes what was still held back."""

    def update(self, piece: bytes) -> bytes:
        """What can be said now that `piece` is known."""

    def finish(self) -> bytes:
        """The rest; nothing follows."""


def in_pieces(content: bytes, translation: Translation) -> Iterator[bytes]:
    """All of `content`, translated, without ever a second copy of the whole."""
    view = memoryview(content)
    for start in range(0, len(view), PIECE_BYTES):
        yield translation.update(bytes(view[start : start + PIECE_BYTES]))
    yield translation.finish()


class ToBase64:
    """Plain bytes to base64; only the end is padded."""

    def __init__(self) -> None:
        self._rest = b""

    def update(self, piece: bytes) -> bytes:
        """Base64 of the whole groups of three that there are."""
        data = self._rest + piece if self._rest else piece
        whole = len(data) - len(data) % 3
        self._rest = bytes(data[whole:])
        return base64.b64encode(data[:whole])

    def finish(self) -> bytes:
        """The last group, padded."""
        rest, self._rest = self._rest, b""
        return base64.b64encode(rest)

    def length(self, size: int) -> int:
        """How many bytes `size` bytes become."""
        return -(-size // 3) * 4


class FromBase64:
    """Base64 to plain bytes; missing padding at the end is accepted, as by vantage6's own node.

    Both methods raise `binascii.Error` where it is not base64.
    """

    def __init__(self) -> None:
        self._rest = b""

    def update(self, piece: bytes) -> bytes:
        """The bytes of the whole groups of four that there are."""
        data = self._rest + piece if self._rest else piece
        whole = len(data) - len(data) % 4
        self._rest = bytes(data[whole:])
        return base64.b64decode(data[:whole])

    def finish(self) -> bytes:
        """The bytes of the last group."""
        rest, self._rest = self._rest, b""
        return base64.b64decode(rest + b"=" * (-len(rest) % 4))


class _Feed:
    """A file to vantage6-common's generators: it holds what was put in and not yet read."""

    def __init__(self) -> None:
        self._data, self._at = memoryview(b""), 0

    def put(self, data: bytes) -> None:
        self._data, self._at = memoryview(data), 0

    @property
    def left(self) -> bool:
        return self._at < len(self._data)

    def read(self, size: int) -> bytes:
        part = bytes(self._data[self._at : self._at + size])
        self._at += len(part)
        return part


class Encrypt:
    """Encrypts a blob for an organization.

    Raises:
        UnusableKey: `public_key` is not the base64 of an RSA key in PEM.
    """

    def __init__(self, cryptor: Any, public_key: str) -> None:
        self._feed = _Feed()
        self._pieces: Iterator[bytes] = cryptor.encrypt_stream(self._feed, public_key, PIECE_BYTES)
        try:
            self._header = next(self._pieces)
        except (ValueError, TypeError, AttributeError) as error:  # the last: a key, but not of RSA
            raise UnusableKey("it is no RSA public key in base64 and PEM") from error
        self._unsaid = self._header

    def update(self, piece: bytes) -> bytes:
        """The encrypted piece, the first one with the header before it."""
        self._feed.put(piece)
        said = [self._unsaid]
        self._unsaid = b""
        # The generator would end if it read nothing: it is only asked while there is something to read.
        while self._feed.left:
            said.append(next(self._pieces))
        return b"".join(said)

    def finish(self) -> bytes:
        """The header, if it was not said yet: nothing is encrypted too."""
        return b"".join([self._unsaid, *self._pieces])

    def length(self, size: int) -> int:
        """How many bytes `size` bytes become."""
        return len(self._header) + size


class EncryptText:
    """Encrypts a text for an organization: as a blob, but with the content in base64."""

    def __init__(self, cryptor: Any, public_key: str) -> None:
        self._blob, self._base64 = Encrypt(cryptor, public_key), ToBase64()
        self._header = self._unsaid = self._blob.update(b"")

    def update(self, piece: bytes) -> bytes:
        """The encrypted piece, the first one with the header before it."""
        header, self._unsaid = self._unsaid, b""
        return header + self._base64.update(self._blob.update(piece))

    def finish(self) -> bytes:
        """What is left, and the header if it was not said yet."""
        return self._unsaid + self._base64.update(self._blob.finish()) + self._base64.finish()

    def length(self, size: int) -> int:
        """How many bytes `size` bytes become."""
        return len(self._header) + self._base64.length(size)


class Decrypt:
    """Decrypts a blob; both methods raise `Undecryptable` when they can't."""

    def __init__(self, cryptor: Any) -> None:
        self._cryptor = cryptor
        self._feed = _Feed()
        self._header = b""
        self._pieces: Iterator[bytes] | None = None

    def update(self, piece: bytes) -> bytes:
        """The decrypted piece."""
        if self._pieces is None:
            self._header += piece
            if self._header.count(_SEPARATOR) < 2:
                if len(self._header) > MAX_HEADER_BYTES:
                    raise Undecryptable(NO_MESSAGE)
                return b""
            piece = self._begin()
        return self._said(piece)

    def finish(self) -> bytes:
        """Nothing.

        Raises:
            Undecryptable: there was something, and less than a header.
        """
        if self._pieces is None and self._header:
            raise Undecryptable(NO_MESSAGE)
        return b""

    def _begin(self) -> bytes:
        """Read the header; returns what follows it."""
        key, iv, content = self._header.split(_SEPARATOR, 2)
        self._header = b""
        try:
            # `decrypt_stream` would take a key of any length, and with it most of what is for somebody else:
            # a wrong private key gives random bytes instead of an error.
            shared = self._cryptor._decode_shared_key(base64.b64decode(key))
            self._pieces = self._cryptor._crypt_stream(self._feed, shared, base64.b64decode(iv), PIECE_BYTES)
        except ValueError as error:
            raise Undecryptable(_OTHER_KEY) from error
        return content

    def _said(self, piece: bytes) -> bytes:
        assert self._pieces is not None
        self._feed.put(piece)
        said = []
        try:
            # As above: only asked while there is something to read.
            while self._feed.left:
                said.append(next(self._pieces))
        except ValueError as error:  # the vector has not 16 bytes
            raise Undecryptable(NO_MESSAGE) from error
        return b"".join(said)


class DecryptText:
    """Decrypts a text: a blob with its content in base64; both methods raise `Undecryptable` when they can't."""

    def __init__(self, cryptor: Any) -> None:
        self._blob, self._base64 = Decrypt(cryptor), FromBase64()
        self._header: bytes | None = b""

    def update(self, piece: bytes) -> bytes:
        """The decrypted piece."""
        if self._header is not None:
            self._header += piece
            if self._header.count(_SEPARATOR) < 2:
                if len(self._header) > MAX_HEADER_BYTES:
                    raise Undecryptable(NO_MESSAGE)
                return b""
            key, iv, piece = self._header.split(_SEPARATOR, 2)
            self._header = None
            self._blob.update(_SEPARATOR.join([key, iv, b""]))
        return self._decoded(self._base64.update, piece)

    def finish(self) -> bytes:
        """What is left; of nothing, nothing."""
        if self._header:
            raise Undecryptable(NO_MESSAGE)
        return self._decoded(self._base64.finish)

    def _decoded(self, decode: Callable[..., bytes], *piece: bytes) -> bytes:
        try:
            return self._blob.update(decode(*piece))
        except binascii.Error as error:
            raise Undecryptable(NO_MESSAGE) from error
