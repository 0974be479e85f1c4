"""Many short runs sent at once, against the same Jobs and the same calls to the server without a node, in turns."""

import asyncio

from benchmarks import crowd
from benchmarks.found import Effort, Found
from benchmarks.goals import Measurement
from benchmarks.life import run
from benchmarks.percentiles import median
from benchmarks.rawjobs import RawJobs
from benchmarks.scene import Scene, stand

METHOD, ARGUMENT = "sleep", 0


async def measure(scene: Scene, effort: Effort) -> Found:
    """Measure."""
    measured: list[float] = []
    limits: list[float] = []
    async with stand(scene) as there:
        pattern = (await run(there)).manifest
        raw = RawJobs(scene.api, scene.kubectl, there.namespace, pattern)
        for number in range(effort.rounds):
            names = [f"raw-{number}-{index}" for index in range(effort.crowd)]
            await asyncio.to_thread(raw.prepare, names, METHOD, ARGUMENT)
            took, jobs = await crowd.runs(there, effort.crowd, METHOD, ARGUMENT)
            measured.append(took)
            await there.quiet()
            limits.append(await crowd.limit(there, jobs, raw, names, METHOD))
            await there.quiet()
            await asyncio.to_thread(raw.clear)
    return Found(
        [Measurement("makespan", median(measured), median(limits))],
        {
            f"{effort.crowd} runs, s": measured,
            "the same Jobs and calls, s": limits,
        },
    )
