"""Whose algorithms are served: those of this node, which the launcher knows from the server."""

import asyncio
import logging
import time
from typing import Any

import aiohttp

from proxy.bearer import Container
from proxy.refusal import Refusal

log = logging.getLogger(__name__)

PATIENCE = 60.0  # seconds; after an upgrade the launcher has to log in first
ASK_AGAIN_AFTER = 30.0  # seconds; a node that was given another API key is somebody else
_PAUSE = 0.5
_TIMEOUT = aiohttp.ClientTimeout(total=5)


class Whose:
    """This node's identity, asked of the launcher when it is first needed.

    Args:
        launcher: address of the launcher's status.
        patience: seconds that a request waits for an answer.
    """

    def __init__(self, launcher: str, patience: float = PATIENCE) -> None:
        self._url = f"{launcher}/identity"
        self._patience = patience
        self._known: dict[str, Any] | None = None
        self._asked_at = 0.0
        self._asking = asyncio.Lock()

    async def check(self, container: Container) -> None:
        """Let through an algorithm of this node.

        Raises:
            Refusal: 403 if its token is another node's, 503 if the launcher does not say which node this is.
        """
        if self._known is None or (not self._ours(container) and self._stale()):
            async with self._asking:
                if self._known is None or self._stale():
                    await self._ask()
        if not self._ours(container):
            raise Refusal(403, "This token is that of another node's algorithm; ask the proxy of that node.")

    def _ours(self, container: Container) -> bool:
        return self._known is not None and self._known == {
            "node_id": container.node_id,
            "organization_id": container.organization_id,
            "collaboration_id": container.collaboration_id,
        }

    def _stale(self) -> bool:
        return time.monotonic() - self._asked_at > ASK_AGAIN_AFTER

    async def _ask(self) -> None:
        give_up_at = time.monotonic() + (self._patience if self._known is None else 0)
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as http:
            while True:
                try:
                    async with http.get(self._url) as answer:
                        if answer.status == 200:
                            self._known = await answer.json()
                            self._asked_at = time.monotonic()
                            log.info("serving", extra={"fields": dict(self._known or {})})
                            return
                        reason = f"it answered {answer.status}"
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    reason = str(error) or type(error).__name__
                if time.monotonic() >= give_up_at:
                    break
                await asyncio.sleep(_PAUSE)
        log.warning("the launcher does not say which node this is", extra={"fields": {"reason": reason}})
        self._asked_at = time.monotonic()
        if self._known is None:
            raise Refusal(503, "This node is not logged in at the vantage6 server yet; try again later.")
