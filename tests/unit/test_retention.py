"""What failed runs leave is kept for a look at it, for a time; everything else goes."""

import asyncio
import os
import time

import pytest

from launcher.runs import JobState, RunStatus, ServerState, Step, decide
from launcher.taskfiles import TaskFiles
from tests.unit.reconciled_world import World, a_pod, done, left, live, start
from tests.unit.test_taskfiles import IDENTITY, RUN

HOUR = 3600.0


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path, [RUN])
    world.keep_failed = HOUR
    world.exit_code = 3
    return world


def files_of(world):
    return {path.name for path in (TaskFiles(world.folder, IDENTITY).directory(RUN) / "data").iterdir()}


async def test_job_and_files_of_a_failed_run_are_kept(world):
    start(world)
    await live(world, rounds=30)
    assert [status for _, status, *_ in world.deliveries] == [RunStatus.CRASHED]
    assert "deletionTimestamp" not in world.jobs[7]["metadata"]
    assert files_of(world) == {"input", "output"}, "the token, which still opens something, is not kept"


async def test_they_go_when_their_time_is_over(world):
    world.keep_failed = 2.0
    start(world)
    await live(world, rounds=20)
    assert world.jobs and left(world)
    await asyncio.sleep(2.1)
    await live(world)
    assert done(world)
    assert len(world.deliveries) == 1


async def test_a_launcher_that_starts_anew_keeps_them_no_longer(world):
    start(world)
    await live(world, rounds=30)
    audited = TaskFiles(world.folder, IDENTITY).directory(RUN) / "audited"
    os.utime(audited, (time.time() - HOUR + 2.0,) * 2)
    world.incarnation += 1
    start(world)
    await live(world, rounds=20)
    assert world.jobs and left(world), "it was not time yet"
    await asyncio.sleep(2.1)
    await live(world)
    assert done(world)
    assert len(world.deliveries) == 1


async def test_room_is_worth_more_than_what_was_kept(world):
    start(world)
    await live(world, rounds=30)
    assert world.jobs
    world.keep_failed = 0.0
    world.reconciler.resume()
    await live(world)
    assert done(world)


async def test_a_run_that_went_well_is_not_kept(world):
    world.exit_code = 0
    start(world)
    await live(world)
    assert done(world)


async def test_a_container_that_may_still_start_is_not_kept(world):
    """What can't be made now might be, once somebody mends it: an algorithm would run that was reported as failed."""
    start(world)
    while not world.jobs:
        await asyncio.sleep(0.001)
    world.pods[7] = a_pod(7, {"waiting": {"reason": "CreateContainerConfigError", "message": "no secret"}})
    world.reconciler.changed(7)
    while not world.deliveries:
        await asyncio.sleep(0.001)
    await live(world)
    assert done(world)


async def test_a_killed_run_is_not_kept(world):
    start(world)
    while not world.jobs:
        await asyncio.sleep(0.001)
    world.reconciler.killed([7])
    await live(world)
    assert done(world)


async def test_without_room_a_run_stays_pending_and_says_why_once(world):
    world.lacks = "The run waits: the volume is nearly full."
    start(world)
    for _ in range(5):
        await asyncio.sleep(0.01)
        world.reconciler.changed(7)
    assert world.shown == [(7, "The run waits: the volume is nearly full.\n")]
    assert not world.jobs and not left(world) and not world.deliveries
    world.lacks, world.exit_code = "", 0
    world.reconciler.resume()
    await live(world)
    assert done(world)
    assert world.executions == [7]


@pytest.mark.parametrize("server", ServerState)
@pytest.mark.parametrize("job", JobState)
@pytest.mark.parametrize("killed", [True, False])
def test_nothing_is_kept_but_what_ended_and_was_delivered(server, job, killed):
    facts = {"launched": True, "files": True, "active_reported": True, "killed": killed, "place": True}
    usual, kept = (decide(server, job, **facts, kept=kept) for kept in (False, True))
    if (server, job) == (ServerState.CLOSED, JobState.FINISHED):
        assert (usual, kept) == (Step.DELETE_JOB, Step.WAIT)
    else:
        assert usual is kept
