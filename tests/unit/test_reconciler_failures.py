"""Runs that wait, fail and are killed: what the researcher is told, and what is left at the site."""

import asyncio
from dataclasses import replace

import pytest

from launcher.config.jobs import Jobs
from launcher.kubeapi import ClusterUnavailable
from launcher.runs import RunStatus
from launcher.session import ServerRefusal, ServerUnavailable
from launcher.taskfiles import TaskFiles
from launcher.waiting import Trouble
from tests.unit.kubelet import SECOND
from tests.unit.reconciled_world import FakeCluster, FakeSession, World, a_pod, done, left, live, start
from tests.unit.test_taskfiles import IDENTITY, RUN


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, [RUN])


def an_unschedulable_pod(number, message):
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    pod = a_pod(number, {})
    pod["status"] = {"conditions": [condition]}
    return pod


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def stuck(world, message):
    """A run whose pod finds no machine."""
    start(world)
    await until(lambda: world.jobs)
    world.pods[7] = an_unschedulable_pod(7, message)
    world.reconciler.changed(7)


async def test_a_run_that_finds_no_machine_is_told_of_once_and_waits(world, monkeypatch):
    monkeypatch.setattr("launcher.vigil._TELL_AFTER", 0.05)
    await stuck(world, "0/1 nodes are available: 1 Insufficient memory.")
    await until(lambda: world.shown)
    for _ in range(5):
        world.reconciler.changed(7)
        await asyncio.sleep(0.01)
    ((number, text),) = world.shown
    assert number == 7
    assert "1 Insufficient memory." in text and text.endswith("\n")
    assert world.deliveries == [] and world.jobs
    await world.reconciler.close(0)


async def test_a_timer_ends_a_run_that_nothing_happens_to(world):
    world.jobs_settings = Jobs(waitForRepairSeconds=0)
    await stuck(world, "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")
    await until(lambda: world.deliveries)
    ((_, status, _, log),) = world.deliveries
    assert status is RunStatus.START_FAILED
    assert "didn't match Pod's node affinity/selector" in log


async def test_a_pod_that_is_not_admitted_is_a_reason_too(world):
    world.jobs_settings = Jobs(waitForRepairSeconds=0)
    start(world)
    await until(lambda: world.jobs)
    world.troubles[7] = Trouble("uid-7", "FailedCreate", 'Error creating: pods "run-7-x" is forbidden: no')
    world.reconciler.changed(7)
    await until(lambda: world.deliveries)
    assert "does not admit the algorithm's pod: no." in world.deliveries[0][3]


async def test_a_run_that_waits_delays_no_other(tmp_path):
    world = World(tmp_path, [RUN, replace(RUN, id=8)])
    start(world)
    await until(lambda: len(world.jobs) == 2)
    world.pods[7] = an_unschedulable_pod(7, "0/1 nodes are available: 1 Insufficient cpu.")
    world.pods[8] = a_pod(8, {"terminated": {"exitCode": 0}})
    world.reconciler.changed(7)
    world.reconciler.changed(8)
    await until(lambda: world.deliveries)
    assert [number for number, *_ in world.deliveries] == [8]
    await world.reconciler.close(0)


async def test_a_crash_brings_a_hint(world):
    world.exit_code = 1
    world.printed = [(SECOND, b"OSError: [Errno 30] Read-only file system: '/opt/x'")]
    start(world)
    await live(world)
    assert "the algorithm may not use /opt/x" in world.deliveries[0][3]


async def test_a_log_that_is_not_shared_stays_at_the_site(world):
    world.share_logs = False
    world.exit_code = 1
    world.printed = [(SECOND, b"PermissionError: [Errno 13] Permission denied: '/home/of/a/patient'")]
    start(world)
    await live(world)
    ((_, _, _, log),) = world.deliveries
    assert log.startswith("Node does not allow sharing algorithm logs\nThe algorithm ended with exit code 1.")
    assert "patient" not in log
    assert world.shown == []
    assert not left(world)
    (kept,) = (world.folder / "logs").glob("7-*/*0")
    assert "patient" in kept.read_text()


async def test_a_log_that_is_shared_is_not_kept(world):
    start(world)
    await live(world)
    assert done(world)
    assert not (world.folder / "logs").exists()


async def test_a_log_that_can_not_be_read_does_not_keep_a_run_for_ever(world, monkeypatch):
    async def broken(self, pod, *, since, follow):
        raise ClusterUnavailable("the machine is gone")
        yield

    monkeypatch.setattr(FakeCluster, "log_chunks", broken)
    monkeypatch.setattr("launcher.logfollow._PATIENCE", 0.05)
    monkeypatch.setattr("launcher.logfollow.LogFollower.collect.__kwdefaults__", {"patience": 0.05})
    monkeypatch.setattr("launcher.workqueue._FIRST_DELAY", 0.02)
    start(world)
    await until(lambda: world.advance() or world.deliveries)
    assert world.deliveries == [(7, RunStatus.COMPLETED, b"", "")]


async def test_a_disk_that_is_full_does_not_keep_a_run_for_ever(world, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("launcher.keptlog.KeptLog.append", full)
    start(world)
    await live(world)
    assert world.deliveries == [(7, RunStatus.COMPLETED, b"", "")]


async def running(world):
    start(world)
    await until(lambda: world.advance() or world.executions)


async def test_a_killed_algorithm_ends_although_the_server_can_not_be_told(world, monkeypatch):
    async def down(self, run, *rest):
        raise ServerUnavailable("down")

    deliver = FakeSession.deliver
    monkeypatch.setattr(FakeSession, "deliver", down)
    monkeypatch.setattr("launcher.workqueue._FIRST_DELAY", 0.01)
    await running(world)
    world.reconciler.killed([7])
    await until(lambda: world.jobs[7]["metadata"].get("deletionTimestamp"))
    assert world.deliveries == []
    world.advance()
    assert not world.jobs
    monkeypatch.setattr(FakeSession, "deliver", deliver)
    await until(lambda: world.deliveries)
    assert [status for _, status, *_ in world.deliveries] == [RunStatus.KILLED]


async def test_a_launcher_started_anew_knows_that_a_run_was_killed(world, monkeypatch):
    async def down(self, run, *rest):
        raise ServerUnavailable("down")

    with monkeypatch.context() as patched:
        patched.setattr(FakeSession, "deliver", down)
        await running(world)
        world.reconciler.killed([7], "The site says so.")
        await until(lambda: world.jobs[7]["metadata"].get("deletionTimestamp"))
        await asyncio.sleep(0.01)
        world.incarnation += 1
        await world.reconciler.close(0)
    del world.jobs[7], world.pods[7]
    start(world)
    await until(lambda: world.deliveries)
    assert world.deliveries == [(7, RunStatus.KILLED, b"", "hello\nThe site says so.")]


async def test_a_launcher_started_anew_completes_a_kill(world, monkeypatch):
    async def down(self, job):
        raise ClusterUnavailable("down")

    with monkeypatch.context() as patched:
        patched.setattr(FakeCluster, "delete_job", down)
        await running(world)
        world.reconciler.killed([7], "The site says so.")
        await until(lambda: TaskFiles(world.folder, IDENTITY).killed(RUN))
        world.incarnation += 1
        await world.reconciler.close(0)
    start(world)
    await live(world)
    ((_, status, _, log),) = world.deliveries
    assert status is RunStatus.KILLED
    assert log.endswith("The site says so.")
    assert done(world)


async def test_killed_before_the_server_said_that_it_is_open_it_is_killed_for_a_later_launcher_too(world):
    await running(world)
    world.incarnation += 1
    await world.reconciler.close(0)
    known, world.runs = world.runs, {}
    start(world)
    world.reconciler.killed([7], "The site says so.")
    await until(lambda: world.jobs[7]["metadata"].get("deletionTimestamp"))
    world.incarnation += 1
    await world.reconciler.close(0)
    world.runs = known
    del world.jobs[7], world.pods[7]
    start(world)
    await until(lambda: world.deliveries)
    assert [status for _, status, *_ in world.deliveries] == [RunStatus.KILLED]


@pytest.mark.contract("§5 container token refused")
async def test_without_a_token_for_its_algorithm_a_run_ends_and_nothing_is_executed(world, monkeypatch):
    async def refused(*_):
        raise ServerRefusal(400, "Task is already finished!")

    monkeypatch.setattr(FakeSession, "algorithm_token", refused)
    start(world)
    await live(world)
    ((_, status, _, log),) = world.deliveries
    assert (status, "Task is already finished!" in log) == (RunStatus.START_FAILED, True)
    assert done(world) and not world.executions


async def test_killed_before_its_job_was_made_a_run_is_reported_and_never_runs(world):
    world.may_start = False
    start(world)
    await asyncio.sleep(0.01)
    world.reconciler.killed([7])
    await live(world, rounds=10)
    assert [status for _, status, *_ in world.deliveries] == [RunStatus.KILLED]
    assert not world.executions


async def test_killed_while_pending_a_run_never_runs(world):
    await stuck(world, "0/1 nodes are available: 1 Insufficient cpu.")
    world.reconciler.killed([7])
    await until(lambda: world.deliveries)
    await live(world)
    assert [status for _, status, *_ in world.deliveries] == [RunStatus.KILLED]
    assert done(world) and not world.executions


async def test_killed_after_its_end_a_run_is_what_the_server_says(world):
    start(world)
    await live(world)
    world.reconciler.killed([7])
    await asyncio.sleep(0.01)
    assert [status for _, status, *_ in world.deliveries] == [RunStatus.COMPLETED]
