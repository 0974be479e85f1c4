"""A log as Kubernetes streams it, cut into lines, each of them once, however often the stream begins anew.

A stream with timestamps can begin at a given second only, so what came in that second comes again. Standard output and
standard error are written by two threads of the runtime: times are in order but for moments. So lines are told apart by
time and content, and those of the last second are remembered.
"""

import hashlib
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

LONGEST_PIECE = 64 * 1024
_SECOND = 10**9
_MOST_REMEMBERED = 1000
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?")

Identity = tuple[int, str]
"""Time in nanoseconds, and a digest of the text."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log, or a piece of a very long one, without its time and with its end."""

    time: int
    """Nanoseconds since 1970."""
    text: bytes

    @property
    def identity(self) -> Identity:
        """What tells it from others."""
        return self.time, hashlib.blake2b(self.text, digest_size=8).hexdigest()


class Lines:
    """Cuts one stream into lines; what is cut off at its end is not a line yet."""

    def __init__(self) -> None:
        self._rest = b""
        self._time: int | None = None  # of the long line of which pieces were given out already

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The lines that end in a chunk, and pieces of one that gets too long."""
        *ended, self._rest = (self._rest + chunk).split(b"\n")
        for text in ended:
            yield from self._line(text)
        if len(self._rest) > 2 * LONGEST_PIECE:
            yield from self._pieces()

    def finish(self) -> Iterator[Line]:
        """What the algorithm printed last, if it did not end that line."""
        rest, self._rest = self._rest, b""
        if rest:
            yield from self._line(rest)

    def _line(self, text: bytes) -> Iterator[Line]:
        time, text = self._stamped(text)
        self._time = None
        if time is not None:  # what has no time are words of kubelet's own
            while len(text) > LONGEST_PIECE:
                yield Line(time, text[:LONGEST_PIECE])
                text = text[LONGEST_PIECE:]
            yield Line(time, text + b"\n")

    def _pieces(self) -> Iterator[Line]:
        """Pieces of fixed length, so that they are the same ones whenever the line comes again."""
        self._time, text = self._stamped(self._rest)
        if self._time is None:
            self._rest = b""
            return
        while len(text) > LONGEST_PIECE:
            yield Line(self._time, text[:LONGEST_PIECE])
            text = text[LONGEST_PIECE:]
        self._rest = text

    def _stamped(self, text: bytes) -> tuple[int | None, bytes]:
        if self._time is not None:
            return self._time, text
        if not (stamp := _STAMP.match(text)):
            return None, b""
        date, fraction, zone = stamp.groups()
        seconds = datetime.fromisoformat((date + zone).decode()).timestamp()
        return int(seconds) * _SECOND + int((fraction or b"").ljust(9, b"0")), text[stamp.end() :]


class Position:
    """How far a log was read.

    Args:
        recent: the identities of the last lines.
        horizon: time in nanoseconds; what is older and not among them was read.
    """

    def __init__(self, recent: Iterable[Identity] = (), horizon: int = 0) -> None:
        self.recent: deque[Identity] = deque(recent)
        self.horizon = horizon
        self.begin()

    @property
    def since(self) -> str | None:
        """The time to ask a stream for, to the second; None for the beginning."""
        if not self.horizon:
            return None
        return datetime.fromtimestamp(self.horizon // _SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def begin(self) -> None:
        """A stream begins, at `since`."""
        self._again = Counter(self.recent)
        self._older = self.horizon

    def is_new(self, line: Line) -> bool:
        """Whether a line did not come before; it is remembered."""
        identity = line.identity
        if self._again[identity] > 0:
            self._again[identity] -= 1
            return False
        if line.time < self._older:
            return False
        self.recent.append(identity)
        self.horizon = max(self.horizon, line.time - _SECOND)
        while len(self.recent) > _MOST_REMEMBERED or self.recent[0][0] < self.horizon:
            time, _ = self.recent.popleft()
            self.horizon = max(self.horizon, time + 1)
        return True
