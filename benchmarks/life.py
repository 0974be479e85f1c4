"""One run after the other: from the event to the Job, from the end to the server's answer, and where the time goes.

In turns: a run of the node; then the calls that the node was seen to make before it created that run's Job, made again
by a script for a run of its own.
"""

import asyncio
import time
from collections.abc import Iterable
from datetime import datetime

from benchmarks.calls import Call, Ids
from benchmarks.found import Effort, Found
from benchmarks.goals import Measurement
from benchmarks.percentiles import percentile
from benchmarks.requestcount import counting
from benchmarks.scene import Scene, Stand, stand
from benchmarks.serverside import ids_of
from benchmarks.sightings import SeenJob
from benchmarks.stages import moments

LAUNCHER = "v6-node-launcher"
_RUN_SECONDS = 120
_WARM_UP = 2
MS = 1000


async def measure(scene: Scene, effort: Effort) -> Found:
    """Measure."""
    async with stand(scene) as there:
        for _ in range(_WARM_UP):
            await replay(there, await run(there))
        async with counting(scene.api, there.namespace, LAUNCHER) as counter:
            before = await counter.read()
            jobs: list[SeenJob] = []
            limits: list[float] = []
            for _ in range(effort.runs):
                jobs.append(await run(there))
                limits.append(await replay(there, jobs[-1]))
            asked = (await counter.read()).since(before)
        said = {job.task_id: await there.sender.result(job.task_id) for job in jobs if job.task_id}
        removed = await asyncio.to_thread(files_removed, there)
        waits = [to_job(there, job) * MS for job in jobs]
        total, server = zip(*(to_answer(there, job) for job in jobs), strict=True)
        found = Found(
            samples={
                "event to Job, ms": waits,
                "the same calls replayed, ms": [each * MS for each in limits],
                "finished to answer, ms": [each * MS for each in total],
                "the server's own time in that, ms": [each * MS for each in server],
                "requests to the API server, watches, logs, in all": [asked.regular, asked.watches, asked.logs],
            },
            stages=[
                moments(job, there.at_server, said.get(job.task_id or 0, {}), removed.get(job.run_id or 0))
                for job in jobs
            ],
        )
        for percent in (50, 99):
            found.measurements += [
                Measurement(
                    f"event to Job, p{percent}",
                    percentile(waits, percent),
                    percentile(found.samples["the same calls replayed, ms"], percent),
                ),
                Measurement(
                    f"finished to answer, p{percent}",
                    percentile(found.samples["finished to answer, ms"], percent),
                    percentile(found.samples["the server's own time in that, ms"], percent),
                ),
            ]
        found.measurements.append(Measurement("API requests", asked.regular / len(jobs), 2))
        return found


async def run(there: Stand) -> SeenJob:
    """Have the node execute a run, and wait until nothing of it is left."""
    sent = await there.sender.send(there.scene.algorithm, "moments")
    job = await there.until(lambda: there.in_cluster.of_task(sent.task), _RUN_SECONDS, f"a Job of task {sent.task}")
    run_id = job.run_id or 0
    await there.until(lambda: there.at_server.delivery(run_id), _RUN_SECONDS, f"a result of run {run_id}")
    await there.until(lambda: job.gone, _RUN_SECONDS, f"the end of Job {job.name}")
    return job


async def replay(there: Stand, job: SeenJob) -> float:
    """Make the calls again that preceded a Job; how many seconds they took.

    The rest of the run's calls follow, so that no run stays open; their time does not count.
    """
    sent = await there.shadow_sender.send(there.scene.algorithm, "moments")
    old, new = ids(there, job), await there.shadow.ids_of(sent.task)
    calls = calls_of(there, job)
    first = before_job(job, calls)
    began = time.perf_counter()
    await there.shadow.replay(first, old, new)
    took = time.perf_counter() - began
    await there.shadow.replay([call for call in calls if call not in first], old, new)
    return took


def ids(there: Stand, job: SeenJob) -> Ids:
    """What the calls about a run of the node have that others' have not."""
    return ids_of(there.node.collaboration, job.run_id or 0, job.task_id or 0)


def calls_of(there: Stand, job: SeenJob) -> list[Call]:
    """The calls that the node made about a run, beside those that the server refused."""
    calls = there.at_server.of_run(job.run_id or 0, job.task_id or 0)
    return [call for call in calls if call.status < 400]


def before_job(job: SeenJob, calls: Iterable[Call]) -> list[Call]:
    """Those calls that the server had answered when the Job was seen."""
    return [call for call in calls if call.answered <= (job.created or 0)]


def to_job(there: Stand, job: SeenJob) -> float:
    """Seconds from the event until the Job was seen."""
    assert job.created and job.task_id
    return job.created - there.at_server.told[job.task_id]


def to_answer(there: Stand, job: SeenJob) -> tuple[float, float]:
    """Seconds from when the algorithm was seen to have ended until the server had answered; and the server's own."""
    delivery = there.at_server.delivery(job.run_id or 0)
    assert job.finished and delivery
    calls = calls_of(there, job)
    return delivery.answered - job.finished, overlap(calls, job.finished, delivery.answered)


def overlap(calls: Iterable[Call], begin: float, end: float) -> float:
    """How many seconds of the calls are between two moments. One may begin before this witness saw what led to it."""
    return sum(max(min(call.answered, end) - max(call.at, begin), 0.0) for call in calls)


def files_removed(there: Stand) -> dict[int, float]:
    """When the launcher said that a run's files are gone, by the run."""
    events = there.node.launcher_events()
    return {
        each["run"]: datetime.fromisoformat(each["time"]).timestamp()
        for each in events
        if each["event"] == "cleaned up"
    }
