"""Whether the task volume has room for more runs: a full disk would break those that are under way.

Free space is looked at before a run is taken, and now and then, since a run that waits has to be told when there is
room again.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from launcher.metrics import FREE, SHORT, SIZE

log = logging.getLogger(__name__)

_EVERY = 10.0
_FRESH = 1.0  # seconds: a burst of runs is one look
_AGAIN = 1.1  # times the limit has to be free before runs are taken again, or the node would go back and forth
_MIB = 2**20


class Room:
    """The free space of the task volume.

    Args:
        root: where the volume is mounted.
        needed: bytes that have to be free for a run to be taken; 0: no matter.
        announce: tells the cluster of a change: whether there is room, and a sentence.
    """

    def __init__(self, root: Path, needed: int, announce: Callable[[bool, str], Awaitable[None]]) -> None:
        self._root = root
        self._needed = needed
        self._announce = announce
        self._looked = float("-inf")
        self._free = 0
        self._told = False
        self.short = False
        """Whether there is too little."""
        self.on_change: Callable[[], None] = lambda: None
        """Told when there is room again, or none any more."""

    async def lacks(self) -> str:
        """Why no run may be taken now, as a sentence for the researcher; empty if one may.

        Raises:
            OSError: the volume can't be looked at.
        """
        if self._needed and time.monotonic() - self._looked >= _FRESH:
            await self._look()
        return self._sentence if self.short else ""

    async def keep(self) -> None:
        """Look now and then, for ever."""
        while True:
            try:
                await self._look()
            except OSError as error:
                log.warning("the task volume can't be looked at", extra={"fields": {"reason": str(error)}})
            if self._told != self.short:
                self._told = self.short
                await self._tell()
            await asyncio.sleep(_EVERY)

    async def _look(self) -> None:
        found = await asyncio.to_thread(os.statvfs, self._root)
        self._looked = time.monotonic()
        self._free = found.f_bavail * found.f_frsize
        short = self._free < self._needed * (_AGAIN if self.short else 1)
        FREE.set(self._free)
        SIZE.set(found.f_blocks * found.f_frsize)
        SHORT.set(short)
        if self.short != short:
            self.short = short
            self.on_change()

    async def _tell(self) -> None:
        fields = {"free_bytes": self._free, "needed_bytes": self._needed}
        if self.short:
            log.error("no run is taken: the task volume is nearly full", extra={"fields": fields})
            await self._announce(False, self._sentence)
        else:
            log.info("the task volume has room again", extra={"fields": fields})
            await self._announce(True, "The task volume has room for runs again.")

    @property
    def _sentence(self) -> str:
        return (
            f"The run waits: the node's volume for its files is nearly full ({self._free // _MIB} MiB are free, "
            f"{self._needed // _MIB} MiB have to be, taskVolume.minFreeBytes). The site has to make room."
        )
