"""Whether the server sees this node online, and if not, why: for the log, the metrics, the status, and as Events."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from launcher.metrics import CONNECTIONS, FAILURES, ONLINE, SINCE

log = logging.getLogger(__name__)

NOT_TRIED = "The node did not connect to the server yet."
_PAUSE = 10.0  # seconds between Events at least: a server that comes and goes must not fill the namespace with them


class Connection:
    """Remembers how it stands with the connection, and tells whoever asks."""

    def __init__(self) -> None:
        self.online = False
        self.reason = NOT_TRIED
        """Why it is offline; empty while it is online."""
        self._since = time.time()
        self._key_tried: float | None = None
        self._key_refused = ""
        self._news = asyncio.Event()
        ONLINE.set_function(lambda: self.online)

    def came(self) -> None:
        """The server said that it knows this node."""
        if not self.online:
            CONNECTIONS.inc()
        self._change(True, "")

    def failed(self, reason: str) -> None:
        """The server can't be reached, does not serve the node, or the connection ended; `reason` is a sentence."""
        FAILURES.inc()
        log.warning("offline", extra={"fields": {"reason": reason}})
        self._change(False, reason)

    def left(self, reason: str) -> None:
        """The node itself went offline."""
        self._change(False, reason)

    def logged_in(self, refusal: str) -> None:
        """The server accepted the node's key, or refused one that replaced it; `refusal` is empty, or a sentence."""
        self._key_refused, self._key_tried = refusal, time.time()

    def _change(self, online: bool, reason: str) -> None:
        if self.online != online:
            self._since = time.time()
            SINCE.set(self._since)
        if (self.online, self.reason) != (online, reason):
            self.online, self.reason = online, reason
            self._news.set()

    def table(self) -> dict[str, Any]:
        """What `GET /connection` answers."""
        return {
            "online": self.online,
            "reason": self.reason,
            "since": round(self._since),
            "key_tried": self._key_tried,
            "key_refused": self._key_refused,
        }

    async def announce(self, tell: Callable[[bool, str], Awaitable[None]]) -> None:
        """Tell the cluster of each change, for ever; of several in a short time only of the last."""
        told: tuple[bool, str] | None = None
        while True:
            await self._news.wait()
            self._news.clear()
            if told != (now := (self.online, self.reason)):
                told = now
                await tell(*now)
                await asyncio.sleep(_PAUSE)
