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
from tests.stage.node import LAUNCHER

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
    processor: list[float] = []
    await crowd.runs(there, min(crowd.AT_ONCE, effort.crowd), METHOD, ARGUMENT)  # the first ones are slower, for both
    await there.quiet()
    raw = RawJobs(scene.api, scene.kubectl, there.namespace, there.in_cluster.pattern)
    for number in range(effort.rounds):
        names = [f"raw-{number}-{index}" for index in range(effort.crowd)]
        await asyncio.to_thread(raw.prepare, names, METHOD, ARGUMENT)
        before = await asyncio.to_thread(processor_seconds, there)
        took, jobs = await crowd.runs(there, effort.crowd, METHOD, ARGUMENT)
        measured.append(took)
        processor.append(await asyncio.to_thread(processor_seconds, there) - before)
        await there.quiet()
        limits.append(await crowd.limit(there, jobs, raw, names, METHOD))
        await there.quiet()
        await asyncio.to_thread(raw.clear)
    return Found(
        [Measurement(goal, median(measured), median(limits))],
        {
            f"{effort.crowd} runs, s": measured,
            "the launcher's processor time in that, s": processor,
            "the same Jobs and calls, s": limits,
        },
    )


def processor_seconds(there: Stand) -> float:
    """The processor time that the launcher has used: proc(5), fields 14 and 15 of `stat`, in hundredths of a second."""
    stat = there.scene.kubectl("exec", LAUNCHER, "--", "cat", "/proc/1/stat", namespace=there.namespace)
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
