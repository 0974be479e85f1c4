"""A node that is uninstalled: what runs is ended, what waits is left, and whoever asked hears of both."""

import asyncio

import pytest

from launcher.connection import Connection
from launcher.kubeapi import ClusterUnavailable
from launcher.leaving import SENTENCE, Leaving, Refused, farewell
from launcher.runs import JobState, RunStatus, ServerState
from launcher.session import ServerUnavailable
from launcher.status import Status
from tests.unit.reconciled_world import RUNS, FakeSession, World, left, start


async def yes():
    return True


async def no():
    return False


async def down():
    raise ClusterUnavailable("no way")


async def until_executed(world):
    while not world.executions:
        await asyncio.sleep(0.001)
        world.advance()


async def left_in_time(leaving, world):
    """Leave, while time passes in the cluster."""
    task = asyncio.create_task(leaving.leave(world.reconciler))
    while not task.done():
        await asyncio.sleep(0.01)
        for number, job in list(world.jobs.items()):
            if job["metadata"].get("deletionTimestamp"):
                world.advance()
                world.reconciler.changed(number)
    return task.result()


@pytest.fixture
def world(tmp_path):
    """One run is active, and one waits for its place."""
    world = World(tmp_path, RUNS)
    world.jobs_settings = world.jobs_settings.model_copy(update={"maxConcurrent": 1})
    return world


async def test_what_runs_is_ended_and_delivered_and_what_waits_stays_open(world):
    start(world)
    await until_executed(world)
    leaving = Leaving(yes)
    world.may_start = False  # as node.py has it, from then on
    told = await left_in_time(leaving, world)
    assert leaving.begun
    assert told == {"ended": [7], "running": [], "untold": []}
    ((run_id, status, _, log),) = world.deliveries
    assert (run_id, status) == (7, RunStatus.KILLED) and log.endswith(SENTENCE)
    assert world.executions == [7]
    await world.reconciler.close(5)  # what is under way, the removal of files, ends first
    assert not left(world)


async def test_what_the_server_can_not_be_told_is_said_and_told_by_the_next_launcher(world, monkeypatch):
    start(world)
    await until_executed(world)
    deliver = FakeSession.deliver

    async def unavailable(self, run, *rest):
        raise ServerUnavailable("down")

    monkeypatch.setattr(FakeSession, "deliver", unavailable)
    world.may_start = False
    told = await left_in_time(Leaving(yes, telling=0.3), world)
    assert told == {"ended": [7], "running": [], "untold": [7]}
    await world.reconciler.close(0)
    monkeypatch.setattr(FakeSession, "deliver", deliver)
    start(world)
    for _ in range(100):
        await asyncio.sleep(0.001)
    assert [delivery[:2] for delivery in world.deliveries] == [(7, RunStatus.KILLED)]
    assert world.executions == [7]
    await world.reconciler.close(0)


async def test_what_does_not_end_is_said(world):
    start(world)
    await until_executed(world)
    world.may_start = False
    told = await Leaving(yes, ending=0.3).leave(world.reconciler)  # nothing passes in the cluster
    assert told["ended"] == told["running"] == [7]
    await world.reconciler.close(0)


@pytest.mark.parametrize(("uninstalled", "why"), [(no, "Nobody uninstalls"), (down, "can't be told: no way")])
async def test_a_node_that_nobody_uninstalls_stays(world, uninstalled, why):
    start(world)
    await until_executed(world)
    leaving = Leaving(uninstalled)
    with pytest.raises(Refused, match=why):
        await leaving.leave(world.reconciler)
    assert not leaving.begun
    assert not world.deliveries
    assert not world.jobs[7]["metadata"].get("deletionTimestamp")
    await world.reconciler.close(0)


class Ended:
    """A reconciler whose runs are over, but for one that is collected now."""

    def __init__(self):
        self.ends = []
        self.known = {1: (ServerState.OPEN, JobState.FINISHED), 2: (ServerState.OPEN, JobState.NONE)}
        self.known |= {3: (ServerState.CLOSED, JobState.FINISHED), 4: (ServerState.OPEN, JobState.FOREIGN)}

    def states(self):
        return self.known

    def killed(self, run_ids, reason):
        self.ends += run_ids


async def test_a_result_that_is_there_is_waited_for_and_nothing_else():
    reconciler = Ended()
    assert await Leaving(yes, telling=0.1).leave(reconciler) == {"ended": [], "running": [], "untold": [1]}
    reconciler.known[1] = (ServerState.CLOSED, JobState.FINISHED)
    assert await Leaving(yes).leave(reconciler) == {"ended": [], "running": [], "untold": []}
    assert reconciler.ends == []


async def test_a_job_that_is_being_made_is_ended_when_it_is_there():
    """The run may be between the request for its Job and the answer."""
    world = Ended()
    world.known = {5: (ServerState.OPEN, JobState.PENDING)}
    assert (await Leaving(yes, ending=0.1, telling=0.1).leave(world))["running"] == [5]
    assert world.ends == [5]


async def answered(leave):
    status = Status(Connection())
    status.leave = leave
    port = next(address[1] for address in await status.serve(0) if address[0] == "0.0.0.0")
    try:
        said = await asyncio.to_thread(farewell, f"http://127.0.0.1:{port}", 0.0)
    finally:
        await status.close()
    return said


async def leave_with(**told):
    return {"ended": [3, 5], "running": [], "untold": [], **told}


async def test_helm_is_told_what_became_of_the_runs():
    assert await answered(leave_with) == "Runs that were ended: 3, 5."
    said = await answered(lambda: leave_with(ended=[], running=[8], untold=[3]))
    assert said.startswith("Runs that were ended: none. Still ending: 8. The server could not be told of 3;")


async def test_a_launcher_that_can_not_leave_is_no_obstacle():
    async def refuse():
        raise Refused("Nobody uninstalls this node.")

    assert "(403). Nobody uninstalls this node." in await answered(refuse)
    assert "(503). The node waits for the API server." in await answered(None)
    assert "does not answer" in await asyncio.to_thread(farewell, "http://127.0.0.1:9", 0.0)
