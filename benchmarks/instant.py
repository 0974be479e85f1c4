"""Runs that all end at one instant, against a perfect node that is told of the same ends at the same times.

Kubernetes does not show all ends at once. So the script sends each report, as the node sent it, as long after the first
end as that run was seen to end; what sending all of them at once takes is among the samples.
"""

import asyncio
import time

from benchmarks import crowd
from benchmarks.calls import Ids
from benchmarks.found import Effort, Found
from benchmarks.goals import Measurement
from benchmarks.life import ids
from benchmarks.percentiles import median
from benchmarks.scene import Scene, Stand, stand
from benchmarks.sightings import SeenJob
from tests.stage import StageError

# That all find room on a small machine at once: they sleep.
VALUES = {"jobs": {"resources": {"requests": {"cpu": "1m", "memory": "16Mi"}, "limits": {"memory": "512Mi"}}}}
_START_SECONDS = 30
_FOR_EACH = 1.5


async def measure(scene: Scene, effort: Effort) -> Found:
    """Measure."""
    samples: dict[str, list[float]] = {
        "from the first end to the last report, s": [],
        "reports as each end was seen, s": [],
        "all reports at once, s": [],
        "from the first end seen to the last, s": [],
    }
    async with stand(scene, VALUES) as there:
        for _ in range(effort.rounds):
            jobs = await ended_together(there, effort.at_once)
            ends = [job.finished or 0.0 for job in jobs]
            deliveries = [there.at_server.delivery(job.run_id or 0) for job in jobs]
            found = [
                max(call.answered for call in deliveries if call) - min(ends),
                await reports(there, jobs, [end - min(ends) for end in ends]),
                await reports(there, jobs, [0.0] * len(jobs)),
                max(ends) - min(ends),
            ]
            for values, value in zip(samples.values(), found, strict=True):
                values.append(value)
            await there.quiet()
    measured, limit, *_ = samples.values()
    return Found([Measurement("same instant", median(measured), median(limit))], samples)


async def ended_together(there: Stand, count: int) -> list[SeenJob]:
    """Have so many runs end at one instant.

    Raises:
        StageError: some had not started by then.
    """
    instant = time.time() + _START_SECONDS + _FOR_EACH * count
    _, jobs = await crowd.runs(there, count, "until", instant)
    late = [job.name for job in jobs if not job.running or job.running > instant]
    if late:
        raise StageError(f"{len(late)} of {count} runs had not started at the instant at which all should end.")
    return jobs


async def reports(there: Stand, jobs: list[SeenJob], after: list[float]) -> float:
    """Make the delivering calls again, each so many seconds after the first; how many seconds all took."""
    shadow = there.shadow
    sent = await crowd.each(jobs, lambda _: there.shadow_sender.send(there.scene.algorithm, "until"), crowd.SENDERS)
    news = [await shadow.ids_of(task.task) for task in sent]

    async def report(job: SeenJob, new: Ids, wait: float) -> None:
        delivery = there.at_server.delivery(job.run_id or 0)
        assert delivery
        await asyncio.sleep(wait)
        await shadow.replay([delivery], ids(there, job), new)

    began = time.perf_counter()
    await asyncio.gather(*(report(*each) for each in zip(jobs, news, after, strict=True)))
    return time.perf_counter() - began
