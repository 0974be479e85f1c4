"""The end of a run: what it left is delivered and audited, its Job deleted, its files removed."""

import asyncio
import logging
from collections.abc import Callable

from launcher import audit
from launcher.cluster import Cluster
from launcher.delivery import Delivery, Parcel
from launcher.diagnosis import has_ended, never_again, outcome
from launcher.logfollow import LogFollower
from launcher.progress import Stage
from launcher.runentry import Entry
from launcher.runs import Cause, Outcome, Receipt, Run, RunStatus, ServerState
from launcher.session import Session
from launcher.sighting import Sighting
from launcher.taskfiles import TaskFiles

log = logging.getLogger(__name__)

VANISHED = "The algorithm's Job was removed from the cluster before it ended; send the task again."


class Ending:
    """Ends runs.

    Args:
        session: the server.
        cluster: the Jobs and pods.
        files: the task volume.
        logs: what the algorithms printed.
        delivery: hands over what a run left.
        sighting: tells of Jobs that nobody has seen yet.
        share_logs: whether the algorithm's log goes to the server.
        keep_failed: for how many seconds Jobs and files of failed runs are kept.
    """

    def __init__(
        self,
        session: Session,
        cluster: Cluster,
        files: TaskFiles,
        logs: LogFollower,
        delivery: Delivery,
        *,
        sighting: Sighting,
        share_logs: bool,
        keep_failed: Callable[[], float],
    ) -> None:
        self._session = session
        self._cluster = cluster
        self._files = files
        self._logs = logs
        self._delivery = delivery
        self._sighting = sighting
        self._share_logs = share_logs
        self._keep_failed = keep_failed

    async def collect_and_deliver(self, run: Run, entry: Entry) -> bool:
        """Deliver what an algorithm left that ended."""
        if not has_ended(self._cluster.pod(run.id)):
            # The Job's end was heard of first: the watch of pods lags, and only its pod knows why, and has the log.
            await self._cluster.read_pod(run.id)
        job, pod = self._cluster.job(run.id), self._cluster.pod(run.id)
        end = outcome(job, pod) if job else None
        if job is None or end is None:
            return True
        entry.progress.runs(job, pod)
        entry.progress.noticed(pod)
        async with self._delivery.place(run):
            parcel = await self._delivery.collect(run, end, job, pod)
            entry.progress.reached(Stage.READ)
            return await self.deliver(run, entry, parcel)

    async def report_vanished(self, run: Run, entry: Entry) -> bool:
        """Deliver that the run's Job is gone, though it has not ended."""
        if await self._sighting.unseen_job(run, entry):
            return True
        killed = self._files.killed(run)
        end = Outcome(RunStatus.UNKNOWN_ERROR, VANISHED, cause=Cause.VANISHED) if killed is None else _killed(killed)
        return await self.deliver(run, entry, Parcel(end, kept=await self._logs.collect(run, None)))

    async def report_killed(self, run: Run, entry: Entry) -> bool:
        """Deliver that the run was killed."""
        if await self._sighting.unseen_job(run, entry):
            return True
        pod = self._cluster.pod(run.id)
        kept = await self._logs.collect(run, pod["metadata"]["name"] if pod else None, patience=0)
        return await self.deliver(run, entry, Parcel(_killed(entry.killed_because), kept=kept))

    async def deliver(self, run: Run, entry: Entry, parcel: Parcel) -> bool:
        """Hand over, and have the audit know."""
        entry.progress.noticed()
        receipt = await self._delivery.hand_over(run, parcel)
        entry.progress.reached(Stage.DELIVERED)
        entry.keep_log = not receipt.whole
        entry.server = ServerState.CLOSED
        self._audit(run.id, entry, receipt)
        return True

    def seconds_kept(self, run_id: int, entry: Entry) -> float:
        """For how long what an ended run left is still kept."""
        if entry.failed is False:
            return 0.0
        retention, job = self._keep_failed(), self._cluster.job(run_id)
        ended = retention and job is not None and never_again(job, self._cluster.pod(run_id))
        failed = self._files.failed_for(run_id) if ended else None
        return 0.0 if failed is None else max(retention - failed, 0.0)

    async def delete_job(self, run_id: int, entry: Entry) -> None:
        """Delete the run's Job, once it is noted why it goes."""
        if job := self._cluster.job(run_id):
            pod = self._cluster.pod(run_id)
            if entry.killed:
                self._logs.hurry(run_id)
            if entry.server is not ServerState.CLOSED:  # so that a launcher started anew knows why it is gone
                await asyncio.to_thread(self._files.note_killed, run_id, entry.killed_because)
                entry.job, entry.pod = job, pod
            elif entry.failed is None and not await asyncio.to_thread(self._files.audited, run_id):
                # Closed by the server itself, or delivered by a launcher that ended at that very moment.
                end = outcome(job, pod) or _killed("The server had closed the run already.")
                self._audit(run_id, entry, Receipt(end, None, None))
            await self._cluster.delete_job(job)

    async def remove_files(self, run_id: int, entry: Entry) -> None:
        """Remove the run's files, unless it has a Job after all."""
        if entry.sent and entry.run and await self._sighting.unseen_job(entry.run, entry):
            return
        await self._logs.stop(run_id)
        keep_log = entry.keep_log or not self._share_logs
        await asyncio.to_thread(self._files.remove, run_id, keep_log=keep_log)
        entry.progress.reached(Stage.CLEANED)
        log.info("cleaned up", extra={"fields": {"run": run_id}})

    def _audit(self, run_id: int, entry: Entry, receipt: Receipt) -> None:
        # A killed run's Job is gone before the server is told.
        job, pod = self._cluster.job(run_id) or entry.job, self._cluster.pod(run_id) or entry.pod
        known = audit.of_job(job) if job else audit.of_run(entry.run, entry.policy) if entry.run else {}
        audit.write(self._session.identity, run_id, known, receipt, pod=pod)
        self._files.note_audited(run_id, failed=receipt.end.failed)
        entry.failed = receipt.end.failed


def _killed(sentence: str) -> Outcome:
    return Outcome(RunStatus.KILLED, sentence, cause=Cause.KILLED)
