"""The runs' logs, followed while their algorithms run, kept on the task volume, shown to the researcher as they grow.

A stream for each run begins two seconds after its container, so that a short run costs none. What it does not bring,
because it never began, or broke, or the launcher was not there, or there are too many, is read when the algorithm has
ended: kept is what Kubernetes still had.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from launcher.backoff import Backoff
from launcher.cluster import Cluster
from launcher.diagnosis import has_ended
from launcher.keptlog import KeptLog
from launcher.kubeapi import ApiRefusal, ClusterUnavailable
from launcher.livelog import LiveLog
from launcher.logstream import Line, Lines
from launcher.runs import Run
from launcher.taskfiles import TaskFiles

log = logging.getLogger(__name__)

_STREAMS = 200
_BEGIN_AFTER = 2.0
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0
# Small chunks are written together: a line a second is no write a line.
_SMALL, _PAUSE = 16 * 1024, 0.5
_READ_WITHIN = 60.0
_PATIENCE = 60.0
_SHOWN_AGAIN = 16 * 1024

T = TypeVar("T")
Show = Callable[[Run, str], Awaitable[bool]]


@dataclass
class _Followed:
    task: asyncio.Task[None]
    live: LiveLog
    begin: asyncio.Event


class LogFollower:
    """Follows and keeps logs.

    Args:
        cluster: streams them.
        files: the task volume.
        limit: most bytes of a log that are passed on.
        show: sends a piece of log to the server, and tells whether it arrived; None: nothing may leave.
    """

    def __init__(self, cluster: Cluster, files: TaskFiles, limit: int, show: Show | None) -> None:
        self._cluster = cluster
        self._files = files
        self._limit = limit
        self._show = show
        self._followed: dict[int, _Followed] = {}
        self._missed: dict[int, float] = {}
        self._places = asyncio.Semaphore(_STREAMS)
        self._turn = asyncio.Lock()

    def follow(self, run: Run, pod: str) -> None:
        """Follow the log of a run whose container runs, if that is not done yet."""
        if run.id not in self._followed:
            live, begin = LiveLog(partial(self._send, run), self._turn), asyncio.Event()
            task = asyncio.create_task(self._follow(run, pod, live, begin), name=f"log-{run.id}")
            self._followed[run.id] = _Followed(task, live, begin)

    def hurry(self, run_id: int) -> None:
        """Let a run's stream begin now: its pod is about to be deleted, and nothing can be read of it afterwards."""
        if run_id in self._followed:
            self._followed[run_id].begin.set()

    def show(self, run: Run) -> None:
        """From now on show the run's log as it grows; the server has noted that it is active, which empties its log."""
        if self._show and run.id in self._followed:
            self._followed[run.id].live.start()

    async def _send(self, run: Run, text: str) -> bool:
        return self._show is None or await self._show(run, text)

    async def collect(self, run: Run, pod: str | None, *, patience: float = _PATIENCE) -> KeptLog | None:
        """Stop following, read what is missing, and return what was kept; None if nothing could be.

        Args:
            run: whose.
            pod: name of its pod, if it is still there.
            patience: seconds, from the first call for this run on, after which what can't be read is done without.

        Raises:
            ClusterUnavailable: the log can't be read now; call again.
        """
        await self.stop(run.id)
        try:
            if not self._files.directory(run).is_dir():
                return None
            kept = await self._open(run)
            if pod is not None:
                await self._read_to_the_end(run, kept, pod, patience)
            return kept
        except OSError as error:
            # The run's result must not wait for the disk.
            fields = {"run": run.id, "reason": str(error)}
            log.warning("a log can't be kept: the task volume can't be written", extra={"fields": fields})
            return None

    async def _read_to_the_end(self, run: Run, kept: KeptLog, pod: str, patience: float) -> None:
        try:
            async with asyncio.timeout(_READ_WITHIN):
                await self._read(kept, pod, follow=False, heard=lambda line: None)
        except (ClusterUnavailable, ApiRefusal, TimeoutError) as error:
            if time.monotonic() - self._missed.setdefault(run.id, time.monotonic()) < patience:
                raise ClusterUnavailable(f"the log can't be read: {error}") from error
            fields = {"run": run.id, "reason": str(error)}
            log.warning("the end of a log can't be read; the run is delivered without", extra={"fields": fields})
        self._missed.pop(run.id, None)

    async def close(self) -> None:
        """Follow no more."""
        for run_id in list(self._followed):
            await self.stop(run_id)

    async def stop(self, run_id: int) -> None:
        """Follow a run's log no more."""
        if followed := self._followed.pop(run_id, None):
            await followed.live.stop()
            followed.task.cancel()
            await asyncio.wait({followed.task})

    async def _open(self, run: Run) -> KeptLog:
        return await _whole(asyncio.to_thread(KeptLog, self._files.log_folder(run), self._limit))

    async def _follow(self, run: Run, pod: str, live: LiveLog, begin: asyncio.Event) -> None:
        retry, shown = Backoff(_FIRST_DELAY, _LONGEST_DELAY), False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(begin.wait(), _BEGIN_AFTER)
        async with self._places:
            while not has_ended(self._cluster.pod(run.id)):  # then all that is missing is about to be read
                try:
                    kept = await self._open(run)
                    if kept.size and not shown:  # by an earlier launcher; the server has forgotten it by now
                        live.add((await asyncio.to_thread(kept.end, _SHOWN_AGAIN)).encode())
                    shown = True
                    size = kept.size
                    await self._read(kept, pod, follow=True, heard=lambda line: live.add(line.text))
                    if kept.size > size:
                        retry.succeeded()
                    else:
                        retry.failed()
                except (ClusterUnavailable, ApiRefusal, OSError) as error:
                    retry.failed()
                    fields = {"run": run.id, "reason": str(error)[:300]}
                    log.info("a log's stream broke; beginning again", extra={"fields": fields})
                await asyncio.sleep(retry.seconds)

    async def _read(self, kept: KeptLog, pod: str, *, follow: bool, heard: Callable[[Line], None]) -> None:
        lines = Lines()
        kept.position.begin()
        async for chunk in self._cluster.log_chunks(pod, since=kept.position.since, follow=follow):
            await self._keep(kept, lines.feed(chunk), heard)
            if follow and len(chunk) < _SMALL:
                await asyncio.sleep(_PAUSE)
        if not follow:
            await self._keep(kept, lines.finish(), heard)

    async def _keep(self, kept: KeptLog, lines: Iterable[Line], heard: Callable[[Line], None]) -> None:
        new = [line for line in lines if kept.position.is_new(line)]
        if new:
            await _whole(asyncio.to_thread(kept.append, new))
            for line in new:
                heard(line)


async def _whole(call: Coroutine[Any, Any, T]) -> T:
    """What `call` returns; cancelled, it ends first: its thread goes on, and whoever comes next must not meet it."""
    task = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
