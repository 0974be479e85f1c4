"""Many things at once: runs of a node, and what it did done again without it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from benchmarks.calls import Call, Ids
from benchmarks.life import calls_of, ids
from benchmarks.rawjobs import RawJobs
from benchmarks.scene import Stand
from benchmarks.sightings import SeenJob

AT_ONCE = 64
"""How many of one kind are under way at a time: as many as the launcher has."""
SENDERS = 20
_SECONDS = 1200
_EVERY = 0.1

X = TypeVar("X")
Y = TypeVar("Y")


async def each(things: Iterable[X], do: Callable[[X], Awaitable[Y]], at_once: int = AT_ONCE) -> list[Y]:
    """Do something with each of many things, so many at a time; the answers in the things' order."""
    places = asyncio.Semaphore(at_once)

    async def one(thing: X) -> Y:
        async with places:
            return await do(thing)

    return await asyncio.gather(*(one(thing) for thing in things))


async def runs(there: Stand, count: int, method: str, *arguments: object) -> tuple[float, list[SeenJob]]:
    """Send so many tasks at once; the seconds until the server had the last result, and the Jobs."""
    began = time.time()
    sent = await each(range(count), lambda _: there.sender.send(there.scene.algorithm, method, *arguments), SENDERS)
    jobs, last = await reported(there, [each.task for each in sent])
    return last - began, jobs


async def reported(there: Stand, tasks: Sequence[int]) -> tuple[list[SeenJob], float]:
    """Wait until the server has the results of all these tasks; their Jobs, and when it had the last."""

    def all_there() -> tuple[list[SeenJob], float] | None:
        jobs = [there.in_cluster.of_task(task) for task in tasks]
        delivered = [there.at_server.delivery(job.run_id or 0) if job else None for job in jobs]
        if all(delivered):
            return [job for job in jobs if job], max(call.answered for call in delivered if call)
        return None

    return await there.until(all_there, _SECONDS, f"the results of {len(tasks)} runs", every=_EVERY)


async def limit(there: Stand, jobs: Sequence[SeenJob], raw: RawJobs, names: Sequence[str], method: str) -> float:
    """The same Jobs without a node, while a script makes the same calls; the seconds until both are done.

    As many tasks are sent, to the script. No call waits for a Job, and no Job for a call.
    """
    # The script asks for its run by the same call as the node.
    calls = [(ids(there, job), [call for call in calls_of(there, job) if call.method != "GET"]) for job in jobs]
    began = time.time()
    ends = await asyncio.gather(_calls(there, calls, method), _jobs(there, raw, names))
    return max(ends) - began


async def _calls(there: Stand, calls: Sequence[tuple[Ids, list[Call]]], method: str) -> float:
    """Send tasks, and make the calls about them; when all were answered."""
    senders, makers = asyncio.Semaphore(SENDERS), asyncio.Semaphore(AT_ONCE)

    async def one(old: Ids, of_run: list[Call]) -> None:
        async with senders:
            sent = await there.shadow_sender.send(there.scene.algorithm, method)
        async with makers:
            await there.shadow.replay(of_run, old, await there.shadow.ids_of(sent.task))

    await asyncio.gather(*(one(*every) for every in calls))
    return time.time()


async def _jobs(there: Stand, raw: RawJobs, names: Sequence[str]) -> float:
    """Create all, and delete each when it has ended; when the last was seen to have ended."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(each(names, raw.create))
        left, ended = set(names), [0.0]

        def finished() -> bool:
            found = {name for name in left if (job := there.in_cluster.jobs.get(name)) and job.finished}
            for name in found:
                ended.append(there.in_cluster.jobs[name].finished or 0.0)
                tasks.create_task(raw.delete(name))
            left.difference_update(found)
            return not left

        await there.until(finished, _SECONDS, f"the end of {len(names)} Jobs", every=_EVERY)
    return max(ended)
