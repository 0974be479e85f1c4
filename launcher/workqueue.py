"""A work queue with one worker per key: what happens to one run happens in order, runs do not wait for each other."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from launcher.backoff import Backoff

log = logging.getLogger(__name__)

_FIRST_DELAY, _LONGEST_DELAY = 0.5, 60.0


class WorkQueue:
    """Calls `work(key)` for every key that was added, in that order, never twice at a time for one key.

    A key added while its work is under way is worked on once more afterwards. Work that raises is
    repeated after a delay that grows from half a second to a minute; adding the key again ends the wait.

    Args:
        work: what to do for a key.
        expected: exceptions that are a passing condition and not a fault of the program.
        at_once: how many keys are worked on at the same time.
    """

    def __init__(
        self, work: Callable[[int], Awaitable[None]], expected: tuple[type[Exception], ...], at_once: int = 64
    ) -> None:
        self._work = work
        self._expected = expected
        self._at_once = at_once
        self._next: dict[int, None] = {}
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._again: set[int] = set()
        self._retries: dict[int, Backoff] = {}
        self._delayed: dict[int, asyncio.TimerHandle] = {}
        self._closed = False

    def add(self, key: int) -> None:
        """Have the key worked on, now or as soon as its present work is done."""
        if delayed := self._delayed.pop(key, None):
            delayed.cancel()
        if self._closed:
            return
        if key in self._busy:
            self._again.add(key)
        else:
            self._next[key] = None
            self._begin()

    def _begin(self) -> None:
        # However many keys are added, there are no more tasks than may work.
        while self._next and len(self._busy) < self._at_once and not self._closed:
            key = next(iter(self._next))
            del self._next[key]
            self._busy[key] = asyncio.create_task(self._run(key), name=f"run-{key}")

    def add_later(self, key: int, seconds: float) -> None:
        """Have the key worked on after so many seconds, unless it is added before."""
        if delayed := self._delayed.pop(key, None):
            delayed.cancel()
        if not self._closed:
            self._delayed[key] = asyncio.get_running_loop().call_later(seconds, self.add, key)

    async def _run(self, key: int) -> None:
        try:
            await self._work(key)
            self._retries.pop(key, None)
        except Exception as error:  # one run's trouble must not end the others' work
            self._try_later(key, error)
        finally:
            del self._busy[key]
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            self._begin()

    def _try_later(self, key: int, error: Exception) -> None:
        delay = self._retries.setdefault(key, Backoff(_FIRST_DELAY, _LONGEST_DELAY)).failed(error)
        fields = {"run": key, "reason": str(error), "seconds": delay}
        log.warning(
            "trying again later",
            extra={"fields": fields},
            exc_info=None if isinstance(error, self._expected) else error,
        )
        self.add_later(key, delay)

    async def close(self, patience: float) -> None:
        """Take no more work, and wait up to `patience` seconds for what is under way."""
        self._closed = True
        for delayed in self._delayed.values():
            delayed.cancel()
        if self._busy:
            _, late = await asyncio.wait(self._busy.values(), timeout=patience)
            for task in late:
                task.cancel()
