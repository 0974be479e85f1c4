"""The launcher killed at every step of a run, before and after the step's effect, in a world that keeps count.

The same claim is made on a real cluster in tests/cluster, at fewer places.
"""

import asyncio
from dataclasses import replace

import pytest

from launcher.jobmarks import ownership
from launcher.runs import RunStatus
from launcher.session import ServerRefusal, ServerUnavailable
from tests.unit.reconciled_world import RUNS, FakeLaunch, FakeSession, World, done, left, live, start, whole_life
from tests.unit.test_taskfiles import IDENTITY, RUN


async def test_a_life_without_trouble(tmp_path):
    world = await whole_life(tmp_path)
    assert sorted(world.deliveries) == [(7, RunStatus.COMPLETED, b"", "hello"), (8, RunStatus.COMPLETED, b"", "hello")]
    assert sorted(world.executions) == [7, 8]
    assert done(world)


@pytest.mark.parametrize("effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 17))
async def test_killed_at_any_call_each_run_is_executed_and_delivered_once(tmp_path, number, effect, caplog):
    world = await whole_life(tmp_path, (number, effect))
    assert world.incarnation == 1, "the launcher was never killed: there are fewer calls than this"
    assert sorted(world.executions) == [7, 8]
    assert sorted(delivery[:2] for delivery in world.deliveries) == [(7, RunStatus.COMPLETED), (8, RunStatus.COMPLETED)]
    assert done(world), (world.jobs, left(world))
    assert audited(caplog) == [(7, "completed"), (8, "completed")]


def audited(caplog):
    lines = [record.fields for record in caplog.records if record.name == "launcher.audit"]
    return sorted((line["run"], line["status"]) for line in lines)


async def test_what_the_policies_refuse_leaves_nothing_and_is_audited(tmp_path, caplog):
    world = World(tmp_path, [replace(RUN, image="forbidden")])
    start(world)
    await live(world)
    assert world.deliveries == [(7, RunStatus.NOT_ALLOWED, b"", "This node does not run it.")]
    assert world.executions == []
    assert not world.jobs
    assert not list(tmp_path.iterdir())
    (line,) = (record.fields for record in caplog.records if record.name == "launcher.audit")
    assert line["policy"] == "allowed_algorithms"
    assert (line["result_bytes"], line["log_bytes"]) == (0, len("This node does not run it."))


async def test_an_outage_of_the_server_at_delivery_delays_it_and_nothing_else(tmp_path, monkeypatch):
    world = World(tmp_path, RUNS)
    outage = {"left": 3}
    deliver = FakeSession.deliver

    async def unavailable(self, run, *rest):
        if run.id == 7 and outage["left"]:
            outage["left"] -= 1
            raise ServerUnavailable("down")
        await deliver(self, run, *rest)

    monkeypatch.setattr(FakeSession, "deliver", unavailable)
    monkeypatch.setattr("launcher.workqueue._FIRST_DELAY", 0.01)
    start(world)
    await live(world)
    assert [number for number, *_ in world.deliveries] == [8, 7]
    assert done(world)


async def test_a_crash_is_delivered_with_its_log_and_a_sentence(tmp_path):
    world = World(tmp_path, [RUN])
    world.exit_code = 3
    start(world)
    await live(world)
    assert world.deliveries == [(7, RunStatus.CRASHED, b"", "hello\nThe algorithm ended with exit code 3.")]


@pytest.mark.contract("§5 unknown error")
async def test_a_job_that_someone_deleted_is_reported_and_not_run_again(tmp_path):
    world = World(tmp_path, [RUN])
    start(world)
    while not world.executions:
        await asyncio.sleep(0.001)
        world.advance()
    del world.jobs[7], world.pods[7]
    world.reconciler.changed(7)
    await live(world)
    assert world.executions == [7]
    assert [status for _, status, *_ in world.deliveries] == [RunStatus.UNKNOWN_ERROR]


async def test_a_killed_run_is_reported_and_its_job_goes(tmp_path):
    world = World(tmp_path, [RUN])
    start(world)
    while not world.executions:
        await asyncio.sleep(0.001)
        world.advance()
    world.reconciler.killed([7])
    await live(world)
    assert [status for _, status, *_ in world.deliveries] == [RunStatus.KILLED]
    assert done(world)


async def test_what_was_closed_and_cleaned_up_is_not_taken_up_by_a_list_that_is_older(tmp_path, monkeypatch):
    taken, take = [], FakeSession.take

    async def noted(self, run):
        taken.append(run)
        return await take(self, run)

    monkeypatch.setattr(FakeSession, "take", noted)
    world = World(tmp_path, [RUN])
    start(world)
    await live(world)
    assert done(world)
    world.reconciler.open_runs([RUN])
    await live(world, rounds=10)
    await asyncio.sleep(0.05)
    assert taken == [RUN]
    # The same number given to another run, as by a server whose database was put back; and a list that is younger.
    another = replace(RUN, assigned_at="2030-01-01T00:00:00")
    world.reconciler.new_runs([another])
    await asyncio.sleep(0.05)
    assert taken == [RUN, another]
    monkeypatch.setattr("launcher.closedruns._REMEMBERED", 0.0)
    world.reconciler.new_runs([RUN])
    await asyncio.sleep(0.05)
    assert taken == [RUN, another, RUN]


async def test_a_job_of_another_time_with_the_same_number_is_left_alone(tmp_path):
    world = World(tmp_path, [RUN])
    old = replace(RUN, assigned_at="2020-01-01T00:00:00")
    foreign = {"metadata": {"name": "run-7", "uid": "x", "annotations": ownership(IDENTITY, old)}, "status": {}}
    world.jobs[7] = foreign
    start(world)
    await live(world, rounds=10)
    assert world.jobs[7] is foreign
    assert world.deliveries == []


async def test_a_result_that_the_server_refuses_ends_the_run_all_the_same(tmp_path, monkeypatch):
    world = World(tmp_path, [RUN])
    deliver = FakeSession.deliver

    async def too_large(self, run, outcome, result, log):
        if not outcome.failed:
            raise ServerRefusal(413, "too large")
        await deliver(self, run, outcome, result, log)

    monkeypatch.setattr(FakeSession, "deliver", too_large)
    start(world)
    await live(world)
    ((_, status, _, log),) = world.deliveries
    assert status is RunStatus.FAILED
    assert log == "The server did not take the result: too large"


async def test_a_run_waits_when_doubts_come_up_while_it_is_prepared(tmp_path, monkeypatch):
    world = World(tmp_path, [RUN])
    prepare = FakeLaunch.manifest

    async def doubtful(self, *args):
        world.may_start = False
        return await prepare(self, *args)

    monkeypatch.setattr(FakeLaunch, "manifest", doubtful)
    start(world)
    await live(world)
    assert world.executions == []
    monkeypatch.setattr(FakeLaunch, "manifest", prepare)
    world.may_start = True
    world.reconciler.resume()
    await live(world)
    assert world.executions == [RUN.id]
    assert [delivery[1] for delivery in world.deliveries] == [RunStatus.COMPLETED]
    await world.reconciler.close(0)
