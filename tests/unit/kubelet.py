"""What an algorithm printed, as a kubelet streams it: with times, from a given second on, as far as it still has it."""

from dataclasses import dataclass
from datetime import UTC, datetime

SECOND = 10**9


@dataclass
class Kubelet:
    """`printed` are times in nanoseconds, and texts without a line end; the first `rotated` of them are gone."""

    printed: list[tuple[int, bytes]]
    rotated: int = 0

    def stream(self, since: str | None, printed: int | None = None) -> bytes:
        """What a stream shows of the first so many lines."""
        first = int(datetime.fromisoformat(since).timestamp()) * SECOND if since else 0
        lines = self.printed[self.rotated : printed]
        return b"".join(stamp(time) + b" " + text + b"\n" for time, text in lines if time >= first)


def stamp(time: int) -> bytes:
    """A time as kubelet writes it."""
    seconds, rest = divmod(time, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z".encode()
