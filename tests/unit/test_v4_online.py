"""When a node that is online reads what is open at the server."""

import asyncio
from typing import Any

import pytest

from launcher.connection import Connection
from launcher.session.v4_online import Online


async def test_what_was_read_while_a_connection_came_is_read_once_more_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.session.v4_online._SYNC_AGAIN", 0.05)
    reads = 0

    async def sync() -> None:
        nonlocal reads
        reads += 1

    nothing: Any = None
    told: dict[str, Any] = {"transport": "auto", "handlers": {}, "greeting": "", "connection": Connection()}
    online = Online(nothing, nothing, "http://localhost", nothing, sync=sync, **told)
    keeping = asyncio.create_task(online._keep_in_step(600))
    await asyncio.sleep(0.4)
    assert reads == 2, "at once, a moment later, and then every ten minutes"
    online.sync_wanted.set()
    await asyncio.sleep(0.05)
    assert reads == 3
    keeping.cancel()
