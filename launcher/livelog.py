"""A run's log on its way to the server while the algorithm runs: in batches, and never faster than the server can bear.

The server appends each batch to the text in its database, so a long log costs it more with every batch: the longer it
is, the rarer they are. What is too much at a time is left out; the log at the run's end has it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

_BATCH = 16 * 1024
_EVERY = 1.0
# Bytes of log for which the server has a second more between two batches.
_WEIGHT = 256 * 1024
_BETWEEN_RUNS = 0.05


class LiveLog:
    """One run's.

    Args:
        show: sends a text to the server, and tells whether it arrived.
        turn: held by the run that sends; the same for all, so that they take turns.
    """

    def __init__(self, show: Callable[[str], Awaitable[bool]], turn: asyncio.Lock) -> None:
        self._show = show
        self._turn = turn
        self._lines: deque[bytes] = deque()
        self._held = 0
        self._left_out = 0
        self._sent = 0
        self._news = asyncio.Event()
        self._sending = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def add(self, text: bytes) -> None:
        """Take a line, or several."""
        self._lines.append(text[-_BATCH:])
        self._held += len(self._lines[-1])
        self._left_out += len(text) - len(self._lines[-1])
        while self._held > _BATCH:
            self._left_out += len(self._lines[0])
            self._held -= len(self._lines.popleft())
        self._news.set()

    def start(self) -> None:
        """Send, from now on."""
        if self._task is None:
            self._task = asyncio.create_task(self._send())

    async def stop(self) -> None:
        """Send no more; returns when the server has dealt with what was on its way."""
        if self._task is not None:
            async with self._sending:
                self._task.cancel()
            await asyncio.wait({self._task})

    async def _send(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(_EVERY + self._sent / _WEIGHT)
            async with self._turn:
                await asyncio.sleep(_BETWEEN_RUNS)
                async with self._sending:
                    await self._send_batch()

    async def _send_batch(self) -> None:
        batch, left_out = b"".join(self._lines), self._left_out
        self._lines.clear()
        self._held = self._left_out = 0
        self._news.clear()
        gap = f"[... {left_out} bytes left out here, the log at the end has more ...]\n" if left_out else ""
        text = gap + batch.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
        if await self._show(text):
            self._sent += len(text)
        else:  # no connection: it is tried again with what there is then
            self._left_out += left_out
            newer = list(self._lines)
            self._lines.clear()
            self._held = 0
            for line in (batch, *newer):
                self.add(line)
