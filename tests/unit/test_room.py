"""Runs are taken only while the task volume has room, and every change of that is told once."""

import asyncio
import os
from types import SimpleNamespace

import pytest

from launcher.metrics import REGISTRY
from launcher.room import Room
from tests.unit.counted import Samples

MIB = 2**20


class Disk:
    """A volume of 1000 MiB whose free space is set at will."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
        self.free, self.looks, self.broken = free, 0, False
        monkeypatch.setattr(os, "statvfs", self._look)
        monkeypatch.setattr("launcher.room._FRESH", 0.0)
        monkeypatch.setattr("launcher.room._EVERY", 0.01)

    def _look(self, _: object) -> SimpleNamespace:
        self.looks += 1
        if self.broken:
            raise OSError(116, "Stale file handle")
        return SimpleNamespace(f_bavail=self.free, f_frsize=MIB, f_blocks=1000)


@pytest.fixture
def told():
    return []


@pytest.fixture
def room(tmp_path, told):
    async def tell(good, sentence):
        told.append((good, sentence))

    return Room(tmp_path, 100 * MIB, tell)


async def test_a_run_is_taken_while_there_is_room(monkeypatch, room):
    disk = Disk(monkeypatch, 100)
    assert await room.lacks() == ""
    disk.free = 99
    assert await room.lacks() == (
        "The run waits: the node's volume for its files is nearly full (99 MiB are free, 100 MiB have to be, "
        "taskVolume.minFreeBytes). The site has to make room."
    )
    disk.free = 109
    assert await room.lacks(), "it does not go back and forth over a byte"
    disk.free = 111
    assert await room.lacks() == ""


async def test_a_burst_of_runs_is_one_look(monkeypatch, room):
    disk = Disk(monkeypatch, 500)
    monkeypatch.setattr("launcher.room._FRESH", 60.0)
    for _ in range(500):
        assert await room.lacks() == ""
    assert disk.looks == 1


async def test_a_limit_of_nothing_never_waits(monkeypatch, tmp_path, told):
    disk = Disk(monkeypatch, 0)
    assert await Room(tmp_path, 0, told.append).lacks() == ""
    assert disk.looks == 0


async def test_changes_are_told_once_and_whoever_waits_is_woken(monkeypatch, room, told):
    disk, woken = Disk(monkeypatch, 500), []
    room.on_change = lambda: woken.append(room.short)
    keeping = asyncio.create_task(room.keep())
    for disk.free in (500, 50, 40, 500):
        await asyncio.sleep(0.1)
        shown = Samples(REGISTRY)
        assert shown.value("v6_node_task_volume_free_bytes") == disk.free * MIB
        assert shown.value("v6_node_task_volume_size_bytes") == 1000 * MIB
        assert shown.value("v6_node_task_volume_short") == (disk.free < 100)
    keeping.cancel()
    assert woken == [True, False]
    assert [good for good, _ in told] == [False, True]


async def test_a_volume_that_cannot_be_looked_at_ends_nothing(monkeypatch, room):
    disk = Disk(monkeypatch, 500)
    disk.broken = True
    keeping = asyncio.create_task(room.keep())
    await asyncio.sleep(0.05)
    disk.broken = False
    await asyncio.sleep(0.05)
    assert not keeping.done()
    assert await room.lacks() == ""
    keeping.cancel()


async def test_the_end_of_a_shortage_that_only_runs_met_wakes_those_that_wait(monkeypatch, room):
    disk, woken = Disk(monkeypatch, 50), []
    room.on_change = lambda: woken.append(room.short)
    assert await room.lacks()
    disk.free = 500
    assert await room.lacks() == "", "of another run, before anybody else looked"
    assert woken == [True, False]
