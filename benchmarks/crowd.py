"""Many things at once: runs of a node, and what it did done again without it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from benchmarks.calls import Call
from benchmarks.life import before_job, calls_of, ids
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
    """The same without a node; the seconds until the server had the last result.

    As many tasks are sent, to a script. It makes for each the calls that the node made for its run, applies the same
    Job, and deletes it, at once and without any thought: what is taken comes before its Job, what is delivered after
    its end, as the protocol wants it, and no run waits for another.
    """
    senders, makers = asyncio.Semaphore(SENDERS), asyncio.Semaphore(AT_ONCE)
    ended = {name: asyncio.Event() for name in names}

    async def one(job: SeenJob, name: str) -> float:
        async with senders:
            sent = await there.shadow_sender.send(there.scene.algorithm, method)
        old, (before, meanwhile, after) = ids(there, job), by_stage(job, calls_of(there, job))
        async with makers:
            new = await there.shadow.ids_of(sent.task)
            await there.shadow.replay(before, old, new)
            await raw.create(name)
            await there.shadow.replay(meanwhile, old, new)
        await ended[name].wait()
        async with makers:
            await there.shadow.replay(after, old, new)
            answered = time.time()
            await raw.delete(name)
        return answered

    def all_ended() -> bool:
        for name, event in ended.items():
            if (job := there.in_cluster.jobs.get(name)) and job.finished:
                event.set()
        return all(event.is_set() for event in ended.values())

    began = time.time()
    *ends, _ = await asyncio.gather(
        *(one(*each) for each in zip(jobs, names, strict=True)),
        there.until(all_ended, _SECONDS, f"the end of {len(names)} Jobs"),
    )
    return max(ends) - began


def by_stage(job: SeenJob, calls: Sequence[Call]) -> tuple[list[Call], list[Call], list[Call]]:
    """The calls about a run in three parts: before its Job, until its end is reported, and from then on.

    Without the one that asks for the run: the script asks for its own.
    """
    made = [call for call in calls if call.method != "GET"]
    before = before_job(job, made)
    report = next(number for number, call in enumerate(made) if call.reports)
    return before, made[len(before) : report], made[report:]
