"""A process in virtual time, which any call to the outside may fail, delay or be the last of.

Each process has an event loop of its own: to kill it, its loop is not run any more. Nothing of it happens after that,
not even what stands in its `finally` blocks; what it was about to do is left as it was.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from enum import Enum, auto
from typing import Any


class Fate(Enum):
    """What becomes of a call."""

    DONE = auto()
    UNDONE = auto()  # it fails, and nothing has happened
    LOST = auto()  # it fails, but it has happened
    CUT = auto()  # the same, and whoever was called is away for some time
    REFUSED = auto()
    SLOW = auto()  # it happens after a while
    SLOW_ANSWER = auto()  # it happens at once, the answer takes a while
    LAST = auto()  # the process dies, and nothing has happened
    LAST_DONE = auto()  # the process dies, but it has happened


A_WHILE = 3.0
_SPINNING = 50_000


class Clock:
    """Time in seconds, the same for all processes of a world."""

    def __init__(self) -> None:
        self.now = 0.0
        self.until = 0.0


class _NoSockets(selectors.DefaultSelector):
    """Where a loop would wait, time passes at once."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.pause: Callable[[], None] = lambda: None
        self._in_a_row = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is not None and timeout <= 0:
            self._in_a_row += 1
            if self._in_a_row > _SPINNING:
                raise RuntimeError("the process goes round in circles")
            return []
        self._in_a_row = 0
        if timeout is None or self.clock.now + timeout > self.clock.until:
            self.clock.now = self.clock.until
            self.pause()
        else:
            self.clock.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time; `threads` says what calls in threads are answered."""

    def __init__(self, clock: Clock, threads: Callable[[Any], Coroutine[Any, Any, Any]]) -> None:
        self._clock, self._threads = clock, threads
        self.tasks: set[asyncio.Task[Any]] = set()
        selector = _NoSockets(clock)
        super().__init__(selector)
        selector.pause = self.stop
        self.set_exception_handler(lambda *_: None)

    def time(self) -> float:
        return self._clock.now

    def create_task(self, *args: Any, **further: Any) -> Any:
        task = super().create_task(*args, **further)
        # Kept, or what a dead process waits for in vain would be collected, and its `finally` run.
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        return self.create_task(self._threads(func))


class Process:
    """Something that runs in a loop of its own until it dies.

    Args:
        clock: the world's.
        fate: decides on a call, by its name.
    """

    def __init__(self, clock: Clock, fate: Callable[[str], Fate]) -> None:
        self.clock = clock
        self.dead = False
        self.calls: list[str] = []
        self._fate = fate
        self.loop = VirtualLoop(clock, self._in_thread)
        self._news: asyncio.Event | None = None

    def run(self) -> None:
        """Go on until the clock's `until`, and then until there is nothing to do at that time."""
        if not self.dead:
            self.loop.run_forever()

    def busy_with(self) -> set[str]:
        """The names of its tasks."""
        return {task.get_name() for task in self.loop.tasks}

    async def finish(self) -> None:
        """End in good order."""

    def bury(self) -> None:
        """Give back what it holds, in a world where nothing counts any more."""
        self.dead, self._fate = False, lambda _: Fate.DONE
        self.clock.until = self.clock.now
        self.loop.call_soon(lambda: self.loop.create_task(self.finish()))
        self.loop.run_forever()
        for task in self.loop.tasks:
            task.cancel()
        self.loop.run_forever()
        self.loop.close()

    async def call(
        self,
        name: str,
        effect: Callable[[], Any],
        unavailable: Exception,
        refuse: Callable[[], Exception] | None = None,
    ) -> Any:
        """An exchange with the outside.

        Args:
            name: by which its fate is decided.
            effect: what happens; its return value is the answer.
            unavailable: raised where no answer comes.
            refuse: makes what is raised where the answer is no.
        """
        await self._still_alive()
        self.calls.append(name)
        fate = self._fate(name)
        await asyncio.sleep(A_WHILE if fate is Fate.SLOW else 0)
        await self._still_alive()
        if fate is Fate.LAST:
            await self._die()
        if fate is Fate.UNDONE:
            raise unavailable
        if fate is Fate.REFUSED:
            raise refuse() if refuse else unavailable
        answer = effect()
        if fate is Fate.LAST_DONE:
            await self._die()
        if fate in {Fate.LOST, Fate.CUT}:
            raise unavailable
        if fate is Fate.SLOW_ANSWER:
            await asyncio.sleep(A_WHILE)
        return answer

    async def _in_thread(self, func: Any) -> Any:
        # `asyncio.to_thread` hands over a partial: a context's `run`, and what to run in it.
        return await self.call("thread", func, OSError(5, "Input/output error"))

    async def _still_alive(self) -> None:
        if self.dead:
            await self.loop.create_future()

    async def _die(self) -> None:
        self.kill()
        await self.loop.create_future()

    def kill(self) -> None:
        """End it, wherever it is."""
        self.dead = True
        if self.loop.is_running():
            self.loop.stop()

    # Something to wait for

    async def news(self, seconds: float) -> None:
        """Return when `tell` is called, or after so many seconds."""
        if self._news is None:
            self._news = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass

    def tell(self) -> None:
        """Wake whoever waits for news."""
        waited, self._news = self._news, None
        if waited and not self.dead:
            waited.set()
