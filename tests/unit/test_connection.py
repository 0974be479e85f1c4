"""Being online or not is told once for each change, and why."""

import asyncio

import pytest

from launcher.connection import Connection


async def test_changes_are_told_and_repetitions_are_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("launcher.connection._PAUSE", 0.01)
    connection, told = Connection(), []

    async def tell(online: bool, reason: str) -> None:
        told.append((online, reason))

    telling = asyncio.create_task(connection.announce(tell))
    for step in (
        lambda: connection.failed("away."),
        lambda: connection.failed("away."),
        connection.came,
        connection.came,
    ):
        step()
        await asyncio.sleep(0.05)
    connection.failed("ended.")
    connection.came()
    await asyncio.sleep(0.05)
    telling.cancel()
    assert told == [(False, "away."), (True, "")]


def test_what_is_shown():
    connection = Connection()
    assert connection.table()["online"] is False
    connection.came()
    assert (connection.table()["online"], connection.table()["reason"]) == (True, "")
    connection.failed("The server went away.")
    assert connection.table()["reason"] == "The server went away."
