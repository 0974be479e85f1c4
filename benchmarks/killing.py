"""A run is killed that does not listen, against its Job and pod deleted by hand, in turns."""

import asyncio
import time

from benchmarks.found import Effort, Found
from benchmarks.goals import Measurement
from benchmarks.life import run
from benchmarks.percentiles import median
from benchmarks.rawjobs import RawJobs
from benchmarks.scene import Scene, Stand, stand

_SECONDS = 120
_RUNS_FOR = 3  # Kubelet is slow to end a container that it has only just started.
# Process 1 of a container does not end by SIGTERM unless it says so: the whole grace period is used.
METHOD, ARGUMENT = "sleep", 3600


async def measure(scene: Scene, effort: Effort) -> Found:
    """Measure."""
    killed: list[float] = []
    told: list[float] = []
    deleted: list[float] = []
    async with stand(scene) as there:
        grace = (await run(there)).grace
        raw = RawJobs(scene.api, scene.kubectl, there.namespace, there.in_cluster.pattern)
        names = [f"raw-{number}" for number in range(effort.rounds * 3)]
        await asyncio.to_thread(raw.prepare, names, METHOD, ARGUMENT)
        for name in names:
            gone, answered = await kill(there)
            killed.append(max(gone, answered))
            told.append(answered)
            deleted.append(await delete(there, raw, name))
        await asyncio.to_thread(raw.clear)
    beyond = [each - grace for each in killed]
    return Found(
        [Measurement("kill", median(beyond), median(deleted) - grace)],
        {
            "kill order to pod gone and server told, s": killed,
            "of that, until the server was told, s": told,
            "the same Job and pod deleted, s": deleted,
            "grace period, s": [grace],
        },
    )


async def kill(there: Stand) -> tuple[float, float]:
    """Seconds from the order until the pod was gone, and until the server had been told."""
    sent = await there.sender.send(there.scene.algorithm, METHOD, ARGUMENT)
    job = await there.until(lambda: there.in_cluster.of_task(sent.task), _SECONDS, "a Job")
    await there.until(lambda: job.running, _SECONDS, "a running pod")
    await asyncio.sleep(_RUNS_FOR)
    began = time.time()
    await there.sender.kill(sent.task)
    gone = await there.until(lambda: job.pod_gone, _SECONDS, "the end of the pod")
    answer = await there.until(lambda: there.at_server.report(job.run_id or 0), _SECONDS, "a report")
    await there.quiet()
    return gone - began, answer.answered - began


async def delete(there: Stand, raw: RawJobs, name: str) -> float:
    """Seconds from when a Job and its pod are deleted until the pod is gone."""
    await raw.create(name)
    job = await there.until(lambda: there.in_cluster.jobs.get(name), _SECONDS, "a Job")
    await there.until(lambda: job.running, _SECONDS, "a running pod")
    await asyncio.sleep(_RUNS_FOR)
    began = time.time()
    await raw.delete(name)
    await raw.delete_pod(name)
    gone = await there.until(lambda: job.pod_gone, _SECONDS, "the end of the pod")
    await there.quiet()
    return gone - began
