"""The API server made a Job and its answer was lost: what the algorithm does from then on counts, and happens once."""

import asyncio

import pytest

from launcher.kubeapi import ClusterUnavailable
from launcher.runs import RunStatus
from launcher.session import ServerRefusal, ServerUnavailable
from launcher.taskfiles import TaskFiles
from tests.unit.reconciled_world import FakeCluster, FakeSession, World, done, live, start
from tests.unit.test_reconciler_failures import until
from tests.unit.test_taskfiles import IDENTITY, RUN


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, [RUN])


@pytest.fixture
def unanswered(monkeypatch):
    """The first creation of a Job is not answered, and no watch tells of it until the API server is asked."""
    create, read, seen = FakeCluster.create_job, FakeCluster.read_job, FakeCluster.job
    lost, known = [], []

    async def without_answer(self, manifest):
        answer = await create(self, manifest)
        if not lost:
            lost.append(answer)
            raise ClusterUnavailable("the connection was cut")
        return answer

    async def told(self, name):
        known.append(name)
        return await read(self, name)

    monkeypatch.setattr(FakeCluster, "create_job", without_answer)
    monkeypatch.setattr(FakeCluster, "read_job", told)
    monkeypatch.setattr(FakeCluster, "job", lambda self, run_id: seen(self, run_id) if known or not lost else None)
    monkeypatch.setattr("launcher.workqueue._FIRST_DELAY", 0.01)
    return lost


async def test_what_it_wrote_meanwhile_is_its_result(world, unanswered):
    start(world)
    await until(lambda: unanswered)
    output = TaskFiles(world.folder, IDENTITY).directory(RUN) / "data" / "output"
    output.write_bytes(b"result")
    await live(world)
    assert world.deliveries == [(7, RunStatus.COMPLETED, b"result", "hello")]
    assert world.executions == [7]


async def test_a_refusal_at_the_second_attempt_is_not_its_end(world, unanswered, monkeypatch):
    async def refused_now(self, run):
        if unanswered:
            raise ServerRefusal(400, "no")
        return "token"

    monkeypatch.setattr(FakeSession, "algorithm_token", refused_now)
    start(world)
    await live(world)
    assert [status for _, status, *_ in world.deliveries] == [RunStatus.COMPLETED]


async def test_when_it_is_deleted_later_it_is_not_run_again(world, unanswered):
    start(world)
    await until(lambda: world.advance() or world.executions)
    await asyncio.sleep(0.05)
    del world.jobs[7], world.pods[7]
    world.reconciler.changed(7)
    await live(world)
    assert world.executions == [7]
    assert [status for _, status, *_ in world.deliveries] == [RunStatus.UNKNOWN_ERROR]
    assert done(world)


async def test_when_it_is_killed_and_the_launcher_is_started_anew_it_is_not_run_again(world, unanswered, monkeypatch):
    async def down(self, run, *rest):
        raise ServerUnavailable("down")

    with monkeypatch.context() as patched:
        patched.setattr(FakeSession, "deliver", down)
        start(world)
        await until(lambda: world.advance() or world.executions)
        await asyncio.sleep(0.05)
        world.reconciler.killed([7])
        await until(lambda: world.jobs[7]["metadata"].get("deletionTimestamp"))
        world.incarnation += 1
        await world.reconciler.close(0)
    del world.jobs[7], world.pods[7]
    start(world)
    await live(world)
    assert world.executions == [7]
    assert [status for _, status, *_ in world.deliveries] == [RunStatus.KILLED]


async def test_killed_before_it_was_heard_of_a_run_never_runs(world, monkeypatch):
    world.runs, listed = {}, [RUN]
    start(world)
    world.reconciler.killed([7])
    world.runs[7] = RUN
    world.reconciler.new_runs(listed)
    await live(world)
    assert not world.executions
    assert [status for _, status, *_ in world.deliveries] == [RunStatus.KILLED]


async def test_killed_while_it_is_prepared_a_run_never_runs(world, monkeypatch):
    token = FakeSession.algorithm_token

    async def killed_meanwhile(self, run):
        world.reconciler.killed([7])
        return await token(self, run)

    monkeypatch.setattr(FakeSession, "algorithm_token", killed_meanwhile)
    start(world)
    await live(world)
    assert not world.executions
    assert [status for _, status, *_ in world.deliveries] == [RunStatus.KILLED]
    assert done(world)


async def test_killed_before_it_was_seen_it_is_deleted(world, unanswered, monkeypatch):
    create = FakeCluster.create_job

    async def killed_meanwhile(self, manifest):
        world.reconciler.killed([7])
        return await create(self, manifest)

    monkeypatch.setattr(FakeCluster, "create_job", killed_meanwhile)
    start(world)
    await live(world)
    assert [status for _, status, *_ in world.deliveries] == [RunStatus.KILLED]
    assert done(world)


@pytest.mark.parametrize("pod_lost", [False, True])
async def test_when_its_jobs_end_is_heard_of_first_its_pod_is_asked_for(world, monkeypatch, pod_lost):
    """After an outage the watch of pods comes back later; the Job alone knows neither exit code nor log."""
    asked, seen = [], FakeCluster.pod

    async def read_pod(self, run_id):
        asked.append(run_id)

    monkeypatch.setattr(FakeCluster, "read_pod", read_pod)
    monkeypatch.setattr(FakeCluster, "pod", lambda self, run_id: seen(self, run_id) if asked else None)
    world.exit_code = 3
    start(world)
    await until(lambda: world.advance() or ended(world.pods.get(7)))
    if pod_lost:
        world.pods[7] = {"metadata": {}, "status": {}}
        monkeypatch.setattr(FakeCluster, "pod", lambda self, run_id: None)
    failed = {"type": "Failed", "status": "True", "message": "Container algorithm failed"}
    world.jobs[7]["status"] = {"conditions": [failed]}
    world.reconciler.changed(7)
    await until(lambda: world.deliveries)
    assert asked == [7]
    (_, status, _, log) = world.deliveries[0]
    if pod_lost:
        assert (status, log) == (
            RunStatus.UNKNOWN_ERROR,
            "The algorithm's pod did not finish: Container algorithm failed",
        )
    else:
        assert (status, log) == (RunStatus.CRASHED, "hello\nThe algorithm ended with exit code 3.")


def ended(pod):
    return pod is not None and "terminated" in pod["status"]["containerStatuses"][0]["state"]
