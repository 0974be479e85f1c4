"""A world that keeps count, for the reconciler to live in: a server, a cluster, the executions, and a real folder.

The launcher can be killed at every call to the outside, before and after its effect.
"""

import asyncio
from dataclasses import replace

from launcher.approval import Approved, NotApproved
from launcher.config.jobs import Jobs
from launcher.jobmarks import ownership
from launcher.kubeapi import ClusterUnavailable
from launcher.reconciler import Reconciler
from launcher.runs import RunStatus
from launcher.taskfiles import TaskFiles
from tests.unit.kubelet import SECOND, Kubelet
from tests.unit.test_taskfiles import IDENTITY, RUN


class Killed(BaseException):
    """The launcher's process is no more."""


class World:
    """One server and one cluster, and what happened in them."""

    def __init__(self, folder, runs):
        self.folder = folder
        self.runs = {run.id: run for run in runs}
        self.deliveries = []
        self.executions = []
        self.jobs, self.pods, self.troubles = {}, {}, {}
        self.printed = [(SECOND, b"hello")]
        self.shown = []
        self.jobs_settings = Jobs()
        self.share_logs = True
        self.exit_code = 0
        self.calls = 0
        self.incarnation = 0
        self.may_start = True
        self.lacks = ""
        self.keep_failed = 0.0
        self.kill_at = None  # (number of the call, whether its effect still happens)
        self.reconciler = None

    async def lacks_room(self):
        return self.lacks

    # Time in the cluster passes when nobody looks.

    def advance(self):
        for number, job in list(self.jobs.items()):
            if job["metadata"].get("deletionTimestamp"):
                del self.jobs[number]
                self.pods.pop(number, None)
            elif number not in self.pods:
                self.executions.append(number)
                self.pods[number] = a_pod(number, {"running": {}})
            elif "running" in self.pods[number]["status"]["containerStatuses"][0]["state"]:
                self.pods[number] = a_pod(number, {"terminated": {"exitCode": self.exit_code}})
            else:
                continue
            self.reconciler.changed(number)


def a_pod(number, state):
    return {
        "metadata": {"name": f"run-{number}-x", "uid": f"pod-{number}"},
        "status": {"containerStatuses": [{"name": "algorithm", "state": state}]},
    }


def call(method):
    """An exchange with the outside, at which the launcher may be killed."""

    async def wrapped(self, *args):
        world = self.world
        await asyncio.sleep(0)
        if self.incarnation != world.incarnation:
            raise Killed
        world.calls += 1
        dies = world.kill_at is not None and world.calls == world.kill_at[0]
        if dies and not world.kill_at[1]:
            world.incarnation += 1
            raise Killed
        answer = await method(self, *args)
        if dies:
            world.incarnation += 1
            raise Killed
        return answer

    return wrapped


class Side:
    def __init__(self, world):
        self.world, self.incarnation = world, world.incarnation


class FakeSession(Side):
    identity = IDENTITY

    @property
    def closed(self):
        return {number for number, *_ in self.world.deliveries}

    @call
    async def find(self, run_id):
        return None if run_id in self.closed else self.world.runs.get(run_id)

    @call
    async def take(self, run):
        return None if run.id in self.closed else b"{}"

    @call
    async def algorithm_token(self, run):
        return "token"

    @call
    async def report_active(self, run):
        pass

    async def is_subtask(self, task_id):
        return any(run.task_id == task_id and run.parent_id is not None for run in self.world.runs.values())

    async def show_log(self, run, text):
        self.world.shown.append((run.id, text))
        return True

    @call
    async def deliver(self, run, outcome, result, log):
        if run.id not in self.closed:
            self.world.deliveries.append((run.id, outcome.status, result, log))


class FakeCluster(Side):
    @property
    def run_ids(self):
        return sorted(self.world.jobs)

    def job(self, run_id):
        return self.world.jobs.get(run_id)

    def pod(self, run_id):
        return self.world.pods.get(run_id)

    @call
    async def read_job(self, name):
        return self.world.jobs.get(int(name.removeprefix("run-")))

    @call
    async def read_pod(self, run_id):
        pass

    @call
    async def create_job(self, manifest):
        number = manifest["number"]
        if number in self.world.jobs:
            return None
        metadata = {"name": f"run-{number}", "uid": f"uid-{number}", "annotations": manifest["annotations"]}
        return self.world.jobs.setdefault(number, {"metadata": metadata, "status": {}})

    @call
    async def delete_job(self, job):
        job["metadata"]["deletionTimestamp"] = "now"

    def trouble(self, run_id):
        return self.world.troubles.get(run_id)

    async def log_chunks(self, pod, *, since, follow):
        if not follow:
            await self.ask()
        if self.incarnation != self.world.incarnation:
            raise ClusterUnavailable("there is no such launcher any more")
        yield Kubelet(self.world.printed).stream(since)

    @call
    async def ask(self):
        pass


class FakeLaunch:
    async def manifest(self, run, approved):
        assert approved.ref == "image@sha256:1"
        return {"number": run.id, "annotations": ownership(IDENTITY, run)}

    def further_files(self, run, content):
        return {}

    async def moved(self, run, job):
        return ""

    def is_ours(self, job, run):
        expected = ownership(IDENTITY, run)
        return all(job["metadata"]["annotations"].get(key) == value for key, value in expected.items())


class FakeApproval(Side):
    @call
    async def of(self, run):
        if run.image == "forbidden":
            raise NotApproved(RunStatus.NOT_ALLOWED, "This node does not run it.", "allowed_algorithms")
        return Approved("image@sha256:1", "allowed_users")


def start(world):
    """A new launcher process: it finds what is there, and hears from the server what is open."""
    files = TaskFiles(world.folder, IDENTITY)
    session = FakeSession(world)
    world.reconciler = Reconciler(
        session,
        FakeCluster(world),
        files,
        FakeLaunch(),
        world.jobs_settings,
        approval=FakeApproval(world),
        share_logs=world.share_logs,
        may_start=lambda: world.may_start,
        lacks_room=world.lacks_room,
        keep_failed=lambda: world.keep_failed,
    )
    world.reconciler.recover()
    world.reconciler.open_runs([run for run in world.runs.values() if run.id not in session.closed])


async def live(world, rounds=60):
    """Let time pass; a launcher that was killed is started again."""
    begun = world.incarnation
    for _ in range(rounds):
        for _ in range(3):
            await asyncio.sleep(0.001)
        if world.incarnation != begun:
            begun = world.incarnation
            start(world)
        world.advance()
        if done(world):
            return


def done(world):
    return len(world.deliveries) == len(world.runs) and not world.jobs and not left(world)


def left(world):
    return list((world.folder / "runs").glob("*")) if (world.folder / "runs").exists() else []


RUNS = [RUN, replace(RUN, id=8)]


async def whole_life(folder, kill_at=None):
    world = World(folder, RUNS)
    world.kill_at = kill_at
    start(world)
    await live(world)
    await world.reconciler.close(0)
    return world
