"""A run's log on the task volume: its beginning and its end, and how far it was read.

    log/000000000000    the beginning
    log/000004194304    further parts, named by how many bytes came before; of these the last two are kept
    log/position.json   bytes so far, and the last lines' identities

The position is written after the text it is about, and text beyond it is cut off when a log is opened again: so whoever
is killed at any moment goes on where the position says.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from launcher.logstream import Line, Position

_POSITION = "position.json"


class KeptLog:
    """A log of which at most about one and a half times `limit` bytes are on disk.

    Args:
        folder: where it is kept; made if need be.
        limit: most bytes of the text that `text` returns.

    Raises:
        OSError: the volume can't be read or written.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._head_size = limit // 2
        self._tail_size = limit - self._head_size
        self.position = Position()
        self.size = 0
        """Bytes of the whole log so far, left out or not."""
        folder.mkdir(exist_ok=True)
        folder.chmod(0o770)
        self._recover()

    def _recover(self) -> None:
        try:
            known = json.loads((self._folder / _POSITION).read_text())
            self.position = Position(((time, digest) for time, digest in known["recent"]), known["horizon"])
            self.size = int(known["bytes"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            self.size = 0
        for offset, part in self._parts():
            if offset >= self.size:
                part.unlink()
            elif offset + part.stat().st_size > self.size:
                os.truncate(part, self.size - offset)

    def _parts(self) -> list[tuple[int, Path]]:
        return sorted((int(path.name), path) for path in self._folder.iterdir() if path.name.isdecimal())

    def append(self, lines: Iterable[Line]) -> None:
        """Add lines, and record the position.

        Raises:
            OSError: the volume is full or can't be written; nothing is added then, as far as the next opening goes.
        """
        parts = self._parts()
        offset, length = (parts[-1][0], self.size - parts[-1][0]) if parts else (0, 0)
        pending: list[bytes] = []
        for line in lines:
            if length >= (self._tail_size if offset else self._head_size):
                self._write(offset, pending)
                offset, length, pending = self.size, 0, []
            pending.append(line.text)
            length += len(line.text)
            self.size += len(line.text)
        self._write(offset, pending)
        self._note()
        for _, part in self._parts()[1:-2]:
            part.unlink()

    def _write(self, offset: int, texts: list[bytes]) -> None:
        if texts:
            with (self._folder / f"{offset:012d}").open("ab") as part:
                part.write(b"".join(texts))

    def _note(self) -> None:
        new = self._folder / f"{_POSITION}.new"
        position = {"horizon": self.position.horizon, "recent": list(self.position.recent)}
        new.write_text(json.dumps({"bytes": self.size, **position}))
        new.rename(self._folder / _POSITION)

    def text(self) -> str:
        """The log, or its beginning and end with a line between them that says how many bytes are left out."""
        parts = self._parts()
        if self.size <= self._head_size + self._tail_size:
            return _readable(b"".join(part.read_bytes() for _, part in parts))
        head = _beginning(parts[0][1], self._head_size)
        tail = b"".join(part.read_bytes() for _, part in parts[-2:])[-self._tail_size :]
        gap = f"\n[... {self.size - len(head) - len(tail)} bytes left out ...]\n".encode()
        return _readable(head + gap + tail)

    def end(self, most: int) -> str:
        """The last bytes of the log, at most so many."""
        parts = self._parts()
        return _readable(b"".join(part.read_bytes() for _, part in parts[-2:])[-most:]) if parts else ""


def _beginning(path: Path, most: int) -> bytes:
    with path.open("rb") as part:
        return part.read(most)


def _readable(content: bytes) -> str:
    # A database behind the server may refuse the character NUL in a text.
    return content.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
