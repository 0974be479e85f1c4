"""How fast the API server is written to: so many calls a second, and none for as long as it asks to be left alone."""

import asyncio
from collections.abc import Callable


class Pace:
    """Lets calls through one by one, in the order in which they come.

    Args:
        per_second: calls that may be made in the long run.
        burst: calls that may be made at once after a pause.
        clock: seconds, never going back; by default the event loop's.
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] | None = None) -> None:
        self._interval = 1 / per_second
        self._ahead = burst * self._interval
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._full_at = float("-inf")  # when nothing of the burst is used up any more
        self._held_until = float("-inf")

    def reserve(self) -> float:
        """Take the next turn; returns the seconds until it comes."""
        now = self._clock()
        self._full_at = max(self._full_at, now, self._held_until) + self._interval
        return max(self._full_at - self._ahead, self._held_until) - now

    async def turn(self) -> None:
        """Return when it is this call's turn."""
        wait = self.reserve()
        while wait > 0:
            await asyncio.sleep(wait)
            wait = self._held_until - self._clock()  # it may have been asked for meanwhile

    def hold(self, seconds: float) -> None:
        """Let no call through for so long."""
        self._held_until = max(self._held_until, self._clock() + seconds)
