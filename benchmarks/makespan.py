"""Many short runs sent at once, against the same Jobs and the same calls to the server without a node, in turns.

Once with real pods, and once with a simulated kubelet, where nothing but the node and the cluster's own programs works.
"""

import asyncio

from benchmarks import crowd
from benchmarks.fakenode import fake_node
from benchmarks.found import Effort, Found
from benchmarks.goals import Measurement
from benchmarks.percentiles import median
from benchmarks.rawjobs import RawJobs
from benchmarks.scene import Scene, Stand, stand

METHOD, ARGUMENT = "sleep", 0


async def measure(scene: Scene, effort: Effort) -> Found:
    """Measure with real pods."""
    async with stand(scene) as there:
        return await rounds(there, effort, "makespan")


async def measure_simulated(scene: Scene, effort: Effort) -> Found:
    """Measure with a simulated kubelet."""
    async with fake_node(scene) as fake, stand(scene, fake.values(ending=True), fake.prepare) as there:
        return await rounds(there, effort, "makespan, simulated")


async def rounds(there: Stand, effort: Effort, goal: str) -> Found:
    """With and without the node in turns."""
    scene = there.scene
    measured: list[float] = []
    limits: list[float] = []
    await crowd.runs(there, 2, METHOD, ARGUMENT)
    await there.quiet()
    raw = RawJobs(scene.api, scene.kubectl, there.namespace, there.in_cluster.pattern)
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
        [Measurement(goal, median(measured), median(limits))],
        {f"{effort.crowd} runs, s": measured, "the same Jobs and calls, s": limits},
    )
