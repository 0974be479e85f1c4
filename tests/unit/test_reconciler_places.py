"""Many runs: how many are fetched and started at a time, in which order, and what those that wait are told."""

import asyncio
import os
from dataclasses import replace

import pytest

from launcher.config.jobs import Jobs
from launcher.metrics import REGISTRY
from launcher.runs import RunStatus
from launcher.session import ServerUnavailable
from launcher.waiting import Trouble
from tests.unit.counted import Samples
from tests.unit.reconciled_world import FakeCluster, FakeSession, World, a_pod, done, live, start
from tests.unit.test_reconciler_failures import an_unschedulable_pod, until
from tests.unit.test_taskfiles import RUN


def a_world(folder, runs, **jobs):
    world = World(folder, runs)
    world.jobs_settings = Jobs(**jobs)
    return world


def some_runs(*numbers):
    return [replace(RUN, id=number, task_id=1000 + number) for number in numbers]


@pytest.fixture
def taken(monkeypatch):
    """The runs whose input was fetched, and the most of which it was in memory at the same time."""
    order, now, take, create = [], set(), FakeSession.take, FakeCluster.create_job

    async def noted(self, run):
        order.append(run.id)
        now.add(run.id)
        order_most[0] = max(order_most[0], len(now))
        return await take(self, run)

    async def created(self, manifest):
        job = await create(self, manifest)
        now.discard(manifest["number"])
        return job

    order_most = [0]
    monkeypatch.setattr(FakeSession, "take", noted)
    monkeypatch.setattr(FakeCluster, "create_job", created)
    return order, order_most


async def settle(rounds=300):
    for _ in range(rounds):
        await asyncio.sleep(0)


def finish(world, number):
    world.pods[number] = a_pod(number, {"terminated": {"exitCode": 0}})
    world.reconciler.changed(number)


async def test_of_five_hundred_tasks_few_are_fetched_at_a_time_and_all_are_started(tmp_path, taken, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)
    world = a_world(tmp_path, some_runs(*range(1, 501)))
    start(world)
    async with asyncio.timeout(60):
        while len(world.jobs) < 500:
            await asyncio.sleep(0.01)
    order, most = taken
    assert most[0] <= 32
    assert order[:32] == list(range(1, 33))
    await world.reconciler.close(0)


async def test_nothing_of_a_run_in_line_is_fetched_and_the_oldest_is_next(tmp_path, taken):
    world = a_world(tmp_path, some_runs(1, 2, 4, 3), maxConcurrent=2)
    start(world)
    await until(lambda: len(world.jobs) == 2)
    await settle()
    assert sorted(world.jobs) == [1, 2]
    assert taken[0] == [1, 2]
    finish(world, 2)
    await until(lambda: 3 in world.jobs)
    assert 4 not in world.jobs
    world.reconciler.killed([1])
    await until(lambda: world.jobs[1]["metadata"].get("deletionTimestamp"))
    world.reconciler.changed(1)
    await until(lambda: 4 in world.jobs)
    assert taken[0] == [1, 2, 3, 4]
    await world.reconciler.close(0)


async def test_all_come_to_their_turn(tmp_path):
    world = a_world(tmp_path, some_runs(*range(1, 8)), maxConcurrent=1)
    start(world)
    await live(world, rounds=600)
    assert done(world)
    assert world.executions == [1, 2, 3, 4, 5, 6, 7]


async def test_a_restarted_launcher_counts_the_jobs_of_the_cluster(tmp_path):
    world = a_world(tmp_path, some_runs(1, 2, 3), maxConcurrent=2)
    start(world)
    await until(lambda: len(world.jobs) == 2)
    world.incarnation += 1
    start(world)
    await settle()
    assert sorted(world.jobs) == [1, 2]
    await world.reconciler.close(0)


async def test_who_is_in_line_is_told_why_and_how_many_are_before(tmp_path, monkeypatch):
    monkeypatch.setattr("launcher.vigil._TELL_AFTER", 0.05)
    monkeypatch.setattr("launcher.starter._LOOK_AT_LINE_EVERY", 0.06)
    world = a_world(tmp_path, some_runs(1, 2, 3), maxConcurrent=1)
    start(world)
    await until(lambda: len(world.shown) == 2)
    told = dict(world.shown)
    limit = "The run waits. This node executes at most 1 run at a time (jobs.maxConcurrent), and "
    assert told[2] == f"{limit}this one is the next.\n"
    assert told[3] == f"{limit}1 is before this one.\n"
    await world.reconciler.close(0)


async def test_a_run_in_line_can_be_killed(tmp_path, taken):
    world = a_world(tmp_path, some_runs(1, 2), maxConcurrent=1)
    start(world)
    await until(lambda: world.jobs)
    world.reconciler.killed([2])
    await until(lambda: world.deliveries)
    assert world.deliveries[0][:2] == (2, RunStatus.KILLED)
    assert taken[0] == [1]
    await world.reconciler.close(0)


async def test_one_that_finds_no_room_lets_others_go_first(tmp_path, monkeypatch):
    monkeypatch.setattr("launcher.vigil._TELL_AFTER", 0.05)
    world = a_world(tmp_path, some_runs(1, 2, 3), maxConcurrent=1)
    start(world)
    await until(lambda: world.jobs)
    world.pods[1] = an_unschedulable_pod(1, "0/1 nodes are available: 1 Insufficient memory.")
    world.reconciler.changed(1)
    await settle()
    assert sorted(world.jobs) == [1], "not at once: machines come and go"
    await until(lambda: 2 in world.jobs)
    world.pods[1] = a_pod(1, {"running": {}})
    world.reconciler.changed(1)
    await settle()
    finish(world, 2)
    await until(lambda: 2 not in world.jobs or world.jobs[2]["metadata"].get("deletionTimestamp"))
    await settle()
    assert 3 not in world.jobs, "it runs after all, and counts again"
    await world.reconciler.close(0)


async def test_one_that_can_not_be_started_now_keeps_no_other_from_it(tmp_path, monkeypatch):
    token = FakeSession.algorithm_token

    async def not_now(self, run):
        if run.id == 1:
            raise ServerUnavailable("down")
        return await token(self, run)

    monkeypatch.setattr(FakeSession, "algorithm_token", not_now)
    world = a_world(tmp_path, some_runs(1, 2), maxConcurrent=1)
    start(world)
    await until(lambda: 2 in world.jobs)
    await world.reconciler.close(0)


async def test_subtasks_do_not_wait_for_the_central_function_that_waits_for_them(tmp_path):
    (central,) = some_runs(1)
    part = replace(RUN, id=2, task_id=1002, parent_id=central.task_id)
    deeper = replace(RUN, id=3, task_id=1003, parent_id=part.task_id)
    others = replace(RUN, id=4, task_id=1004, parent_id=77)
    world = a_world(tmp_path, [central, part, deeper, others], maxConcurrent=1)
    start(world)
    await until(lambda: len(world.jobs) == 3)
    await settle()
    assert sorted(world.jobs) == [1, 2, 3]
    finish(world, 2)
    await until(lambda: 4 in world.jobs)
    await world.reconciler.close(0)


async def test_a_run_that_a_quota_refuses_waits_with_the_quotas_words(tmp_path, monkeypatch):
    monkeypatch.setattr("launcher.vigil._TELL_AFTER", 0.05)
    world = a_world(tmp_path, some_runs(1))
    start(world)
    await until(lambda: world.jobs)
    quota = "exceeded quota: v6-node-algorithm, requested: pods=1, used: pods=2, limited: pods=2"
    world.troubles[1] = Trouble("uid-1", "FailedCreate", f'Error creating: pods "run-1-x" is forbidden: {quota}')
    world.reconciler.changed(1)
    await until(lambda: world.shown)
    assert f"The quota of this node has no room for the algorithm: {quota}." in world.shown[0][1]
    assert world.deliveries == []
    await world.reconciler.close(0)


def suspend(world, number, generation=1):
    job = world.jobs[number]
    job["metadata"] |= {"labels": {"kueue.x-k8s.io/queue-name": "algorithms"}, "generation": generation}
    job["spec"] = {"suspend": True}
    world.reconciler.changed(number)


async def test_a_suspended_job_waits_in_its_queue_by_name_and_can_be_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("launcher.vigil._TELL_AFTER", 0.05)
    world = a_world(tmp_path, some_runs(1))
    start(world)
    await until(lambda: world.jobs)
    suspend(world, 1)
    await until(lambda: world.shown)
    assert "held back by the queue algorithms of this cluster until there is room" in world.shown[0][1]
    world.reconciler.killed([1])
    await until(lambda: world.jobs[1]["metadata"].get("deletionTimestamp"))
    await live(world)
    assert [status for _, status, *_ in world.deliveries] == [RunStatus.KILLED]
    assert world.executions == []
    assert done(world)


async def test_a_job_that_its_queue_takes_back_is_not_resumed(tmp_path):
    world = a_world(tmp_path, some_runs(1))
    start(world)
    await until(lambda: world.jobs)
    world.pods[1] = a_pod(1, {"running": {}})
    world.reconciler.changed(1)
    await settle()
    suspend(world, 1, generation=3)
    await until(lambda: world.deliveries)
    ((_, status, _, log),) = world.deliveries
    assert status is RunStatus.UNKNOWN_ERROR
    assert "ended by the queue algorithms of this cluster, for others" in log
    await until(lambda: not world.jobs or world.jobs[1]["metadata"].get("deletionTimestamp"))
    await world.reconciler.close(0)


async def test_a_job_that_its_queue_took_back_is_not_kept_for_a_look(tmp_path):
    """Its queue would let it go again, and a run that was reported as failed would be executed once more."""
    world = a_world(tmp_path, some_runs(1))
    world.keep_failed = 3600.0
    start(world)
    await until(lambda: world.jobs)
    world.pods[1] = a_pod(1, {"terminated": {"exitCode": 143}})
    suspend(world, 1, generation=3)
    await until(lambda: world.deliveries)
    await until(lambda: not world.jobs or world.jobs[1]["metadata"].get("deletionTimestamp"))
    await world.reconciler.close(0)


# The task volume is nearly full

LACKS = "The run waits: the volume is nearly full."


async def test_without_room_every_run_says_why_and_afterwards_they_go_on_in_their_order(tmp_path, taken):
    world = a_world(tmp_path, some_runs(1, 2, 3), maxConcurrent=1)
    world.lacks = LACKS
    start(world)
    await until(lambda: len(world.shown) == 3)
    await settle()
    assert world.shown == [(number, f"{LACKS}\n") for number in (1, 2, 3)]
    assert not world.jobs and not taken[0]
    world.lacks = ""
    world.reconciler.resume()
    await live(world, rounds=300)
    assert done(world)
    assert world.executions == taken[0] == [1, 2, 3]


async def test_one_that_is_killed_while_there_is_no_room_holds_no_place(tmp_path):
    world = a_world(tmp_path, some_runs(*range(1, 34)), maxConcurrent=33)
    world.lacks = LACKS
    start(world)
    await until(lambda: len(world.shown) == 33)
    world.reconciler.killed(list(range(1, 33)))
    await until(lambda: len(world.deliveries) == 32)
    world.lacks = ""
    world.reconciler.resume()
    await until(lambda: 33 in world.jobs)
    await world.reconciler.close(0)


async def test_the_time_in_line_is_a_stage_of_its_own(tmp_path):
    world = a_world(tmp_path, some_runs(1, 2), maxConcurrent=1)
    before = Samples(REGISTRY)
    start(world)
    await until(lambda: world.jobs)
    await asyncio.sleep(0.3)
    finish(world, 1)
    await until(lambda: 2 in world.jobs)
    await world.reconciler.close(0)
    after = Samples(REGISTRY)

    def took(stage):
        values = [found.value("v6_node_run_stage_seconds_sum", stage=stage) for found in (before, after)]
        return values[1] - values[0]

    assert took("placed") >= 0.3
    assert took("taken") < took("placed") / 2
