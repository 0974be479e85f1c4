"""Ordinary runs beside three that cannot end, against the same runs alone, in turns."""

import asyncio
from typing import Any

from benchmarks import crowd
from benchmarks.found import Effort, Found
from benchmarks.goals import Measurement
from benchmarks.life import run
from benchmarks.percentiles import median
from benchmarks.scene import Scene, Stand, stand

ORDINARY = 20
MISSING = "localhost/no-such-algorithm:1"
UNSCHEDULABLE = "nowhere"
_SEEN_SECONDS = 120
# A template of the site's own gives the tasks of this name a machine that there is none of.
TEMPLATE = """\
{% extends "shipped/job.yaml.j2" %}
{% block scheduling %}
{% if task.name == "nowhere" %}
      nodeSelector:
        example.org/none: here
{% else %}
{{ super() }}
{% endif %}
{% endblock %}
"""


def values() -> dict[str, Any]:
    """What the node is installed with: nobody loses patience with the three."""
    patience = {"waitForRepairSeconds": 3600, "waitForRoomSeconds": 3600}
    return {"jobs": {"templates": {"job.yaml.j2": TEMPLATE}, **patience}}


async def measure(scene: Scene, effort: Effort) -> Found:
    """Measure."""
    beside: list[float] = []
    alone: list[float] = []
    async with stand(scene, values()) as there:
        await run(there)
        for _ in range(effort.rounds):
            tasks = await trouble(there)
            beside.append((await crowd.runs(there, ORDINARY, "sleep", 0))[0])
            await crowd.each(still_open(there, tasks), there.sender.kill)
            await there.quiet()
            alone.append((await crowd.runs(there, ORDINARY, "sleep", 0))[0])
            await there.quiet()
    return Found(
        [Measurement("neighbours", median(beside), median(alone))],
        {f"{ORDINARY} runs beside three that can't end, s": beside, f"{ORDINARY} runs alone, s": alone},
    )


def still_open(there: Stand, tasks: list[int]) -> list[int]:
    """Those of the tasks whose result the server does not have."""
    jobs = [(task, there.in_cluster.of_task(task)) for task in tasks]
    return [task for task, job in jobs if not (job and there.at_server.delivery(job.run_id or 0))]


async def trouble(there: Stand) -> list[int]:
    """Send the three, and wait until each is as it stays; the numbers of their tasks."""
    image = there.scene.algorithm
    nowhere = await there.sender.send(image, "sleep", 0, name=UNSCHEDULABLE)
    missing = await there.sender.send(MISSING, "sleep", 0)
    endless = await there.sender.send(image, "sleep", 10**6)

    def stuck() -> bool:
        jobs = [there.in_cluster.of_task(sent.task) for sent in (nowhere, missing, endless)]
        return all(jobs) and bool(jobs[1] and jobs[1].scheduled and jobs[2] and jobs[2].running)

    await there.until(stuck, _SEEN_SECONDS, "three runs that don't end")
    await asyncio.sleep(2)  # so that kubelet has tried to pull
    return [sent.task for sent in (nowhere, missing, endless)]
