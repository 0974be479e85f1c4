"""What an ended run leaves, gathered and handed over to the server."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, replace

from launcher.config.jobs import Jobs
from launcher.keptlog import KeptLog
from launcher.kubeapi import Tree
from launcher.launch import Launch
from launcher.logfollow import LogFollower
from launcher.loghints import hint
from launcher.metrics import DELIVERED
from launcher.runs import Cause, Outcome, Receipt, Run, RunStatus
from launcher.session import ServerRefusal, Session
from launcher.taskfiles import TaskFiles
from launcher.untrusted import OutputError

log = logging.getLogger(__name__)

NOT_SHARED = "Node does not allow sharing algorithm logs"
_LAST_WORDS = 4096  # bytes of a log in which a crash explains itself
_LONG_LOG, _LONG_LOGS_AT_ONCE = 2**20, 4
_LARGE_RESULT = 2**20  # bytes


@dataclass(frozen=True, slots=True)
class Parcel:
    """What the server gets of a run."""

    end: Outcome
    result: bytes = b""
    kept: KeptLog | None = None


class Delivery:
    """Gathers and hands over.

    Args:
        session: the server.
        files: the task volume.
        launch: knows what became of the databases' hosts.
        logs: what the algorithms printed.
        jobs: limits of what is passed on.
        share_logs: whether the algorithm's log goes to the server.
    """

    def __init__(
        self, session: Session, files: TaskFiles, launch: Launch, logs: LogFollower, jobs: Jobs, *, share_logs: bool
    ) -> None:
        self._session = session
        self._files = files
        self._launch = launch
        self._logs = logs
        self._jobs = jobs
        self._share_logs = share_logs
        self._long_logs = asyncio.Semaphore(_LONG_LOGS_AT_ONCE)
        self._large_results = asyncio.Semaphore(1)

    def place(self, run: Run) -> contextlib.AbstractAsyncContextManager[object]:
        """What to collect and hand over in: one large result at a time is in memory; small ones wait for nobody."""
        return self._large_results if self._files.output_size(run) > _LARGE_RESULT else contextlib.nullcontext()

    async def collect(self, run: Run, end: Outcome, job: Tree, pod: Tree | None) -> Parcel:
        """Everything that a run left whose algorithm ended.

        Raises:
            ClusterUnavailable: its log can't be read now.
        """
        kept = await self._logs.collect(run, pod["metadata"]["name"] if pod else None)
        result = b""
        try:
            result = await asyncio.to_thread(self._files.read_output, run, self._jobs.maxResultBytes)
        except OutputError as error:
            if not end.failed:
                end = Outcome(RunStatus.FAILED, str(error), cause=Cause.OUTPUT)
        if end.status is RunStatus.CRASHED and kept:
            last_words = await asyncio.to_thread(kept.end, _LAST_WORDS)
            end = end.with_more(hint(last_words, pod or {}, shared=self._share_logs))
        if end.failed:
            end = end.with_more(await self._launch.moved(run, job))
        return Parcel(end, result, kept)

    async def hand_over(self, run: Run, parcel: Parcel) -> Receipt:
        """Deliver; returns what the server has.

        Raises:
            ServerUnavailable: the server does not have it yet.
        """
        end, kept = parcel.end, parcel.kept
        # Few long logs at a time are in memory; short ones wait for nobody.
        async with self._long_logs if kept and kept.size > _LONG_LOG else contextlib.nullcontext():
            try:
                report = await self._report(end, kept)
                receipt = Receipt(end, len(parcel.result), len(report.encode()))
                await self._session.deliver(run, end, parcel.result, report)
            except ServerRefusal as refusal:
                end = replace(end, status=RunStatus.FAILED, sentence=_not_taken(refusal), cause=Cause.NOT_TAKEN)
                await self._session.deliver(run, end, b"", end.sentence)
                receipt = Receipt(end, 0, len(end.sentence.encode()), whole=False)
        DELIVERED.labels(end.status.value, end.cause).inc()
        facts = {"run": run.id, "task": run.task_id, "status": end.status.value, "bytes": len(parcel.result)}
        why = {"reason": end.sentence, "detail": end.detail}
        log.info("delivered", extra={"fields": facts | {name: text for name, text in why.items() if text}})
        return receipt

    async def _report(self, end: Outcome, kept: KeptLog | None) -> str:
        """What the researcher reads as the run's log."""
        shown = NOT_SHARED
        if self._share_logs:
            shown = await asyncio.to_thread(kept.text) if kept else ""
        return "\n".join(part for part in (shown.rstrip("\n"), end.sentence) if part)


def _not_taken(refusal: ServerRefusal) -> str:
    return f"The server did not take the result: {refusal.message}"
