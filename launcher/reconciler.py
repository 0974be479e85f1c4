"""The loop that brings server and cluster together: for every run that changed anywhere, the next step, and do it."""

import logging
from collections.abc import Awaitable, Callable, Iterable

from launcher.approval import Approval
from launcher.closedruns import ClosedRuns
from launcher.cluster import Cluster
from launcher.config.jobs import Jobs
from launcher.delivery import Delivery, Parcel
from launcher.diagnosis import job_state
from launcher.ending import Ending
from launcher.kubeapi import ClusterUnavailable
from launcher.launch import Launch
from launcher.logfollow import LogFollower
from launcher.notices import Notices
from launcher.places import Places
from launcher.progress import Stage, show, state
from launcher.runentry import Entry
from launcher.runs import JobState, Run, ServerState, Step, decide
from launcher.session import LoginRefused, ServerRefusal, ServerUnavailable, Session
from launcher.sighting import Sighting
from launcher.starter import Starter
from launcher.taskfiles import TaskFiles
from launcher.waiting import waiting
from launcher.workqueue import WorkQueue

log = logging.getLogger(__name__)


async def _nothing() -> str:
    return ""


class Reconciler:
    """Starts, watches, delivers and cleans up this node's runs.

    Args:
        session: the server.
        cluster: the Jobs and pods.
        files: the task volume.
        launch: makes the Jobs' manifests.
        jobs: limits of what is passed on.
        approval: decides what may run.
        share_logs: whether the algorithm's log goes to the server.
        may_start: whether runs may be started now; what runs already is looked after in any case.
        lacks_room: why no more runs may be taken for now, as a sentence; empty if they may.
        keep_failed: for how many seconds Jobs and files of failed runs are kept.
    """

    def __init__(
        self,
        session: Session,
        cluster: Cluster,
        files: TaskFiles,
        launch: Launch,
        jobs: Jobs,
        *,
        approval: Approval,
        share_logs: bool,
        may_start: Callable[[], bool],
        lacks_room: Callable[[], Awaitable[str]] = _nothing,
        keep_failed: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._session = session
        self._cluster = cluster
        self._files = files
        self._may_start = may_start
        passing = (ServerUnavailable, ClusterUnavailable, ServerRefusal, LoginRefused, OSError)
        self._queue = WorkQueue(self._work, passing)
        self._places = Places(jobs.maxConcurrent, self._queue.add)
        self._sighting = Sighting(cluster, files, launch, self._places)
        self._notices = Notices(session, jobs)
        self._logs = LogFollower(cluster, files, jobs.maxLogBytes, session.show_log if share_logs else None)
        self._ending = Ending(
            session,
            cluster,
            files,
            self._logs,
            Delivery(session, files, launch, self._logs, jobs, share_logs=share_logs),
            sighting=self._sighting,
            share_logs=share_logs,
            keep_failed=keep_failed,
        )
        starter = Starter(
            session,
            cluster,
            files,
            launch,
            approval,
            places=self._places,
            sighting=self._sighting,
            notices=self._notices,
            ending=self._ending,
            may_start=may_start,
            lacks_room=lacks_room,
            look_again=self._queue.add_later,
        )
        self._entries: dict[int, Entry] = {}
        self._closed = ClosedRuns()
        self._steps: dict[Step, Callable[[Run, Entry], Awaitable[bool]]] = {
            Step.QUEUE: starter.queue_up,
            Step.START: starter.start,
            Step.WAIT: self._wait,
            Step.REPORT_ACTIVE: self._report_active,
            Step.DELIVER: self._ending.collect_and_deliver,
            Step.REPORT_VANISHED: self._ending.report_vanished,
            Step.REPORT_KILLED: self._ending.report_killed,
        }

    # What makes a run be looked at

    def changed(self, run_id: int) -> None:
        """Look at a run: something about it changed in the cluster."""
        # At once, however much there is to do: others may wait for its place.
        self._sighting.take_note(run_id, self._entries.setdefault(run_id, Entry()))
        self._queue.add(run_id)

    def open_runs(self, runs: list[Run]) -> None:
        """Take note of all runs that are open at the server; of every other it has to be asked."""
        listed = {run.id for run in runs}
        for run_id, entry in self._entries.items():
            if entry.server is ServerState.OPEN and run_id not in listed:
                entry.server = ServerState.UNKNOWN
        self.new_runs(runs)
        self._look_at(self._entries.keys() | set(self._cluster.run_ids))

    def new_runs(self, runs: list[Run]) -> None:
        """Take note of runs that are open at the server."""
        for run in runs:
            if run in self._closed:
                continue
            entry = self._entries.setdefault(run.id, Entry())
            # A list may be older than the delivery of a run in it: what was closed stays closed.
            if entry.server is ServerState.CLOSED and entry.run and entry.run.assigned_at == run.assigned_at:
                continue
            entry.server, entry.run = ServerState.OPEN, run
            entry.progress.reached(Stage.HEARD)
            self._sighting.take_note(run.id, entry)
        self._look_at(run.id for run in runs)

    def killed(self, run_ids: list[int] | None, reason: str = "") -> None:
        """End these runs, or all that are known (None); the reason is for the researcher."""
        for run_id in list(self._entries) if run_ids is None else run_ids:
            # One that is not known yet may be in a list that is on its way.
            entry = self._entries.setdefault(run_id, Entry())
            entry.killed, entry.killed_because = True, reason
            self._queue.add(run_id)

    def resume(self) -> None:
        """Look at every run that is known: what kept some from starting is over."""
        self._look_at(self._entries.keys())

    def recover(self) -> None:
        """Look at every run that an earlier launcher left something of."""
        for run_id in self._cluster.run_ids:
            self._sighting.take_note(run_id, self._entries.setdefault(run_id, Entry()))
        self._look_at(set(self._cluster.run_ids) | set(self._files.leftovers()))

    def _look_at(self, run_ids: Iterable[int]) -> None:
        for run_id in sorted(run_ids):
            self._queue.add(run_id)

    def states(self) -> dict[int, tuple[ServerState, JobState]]:
        """What is known of every run; a Job that may have been made counts as one."""
        return {
            run_id: (entry.server, JobState.PENDING if entry.sent else self._sighting.state(run_id, entry))
            for run_id, entry in self._entries.items()
        }

    @property
    def tmp_in_use(self) -> set[str]:
        """The shared directories of the jobs that have a run here."""
        return {self._files.tmp_sub_path(entry.run) for entry in self._entries.values() if entry.run}

    def show_progress(self) -> None:
        """Set the metrics that are about all runs."""
        show(entry.progress for entry in self._entries.values())

    async def close(self, patience: float) -> None:
        """Finish the steps that are under way, for at most `patience` seconds; Jobs go on running."""
        await self._queue.close(patience)
        await self._logs.close()

    # What is done about it

    async def _work(self, run_id: int) -> None:
        entry = self._entries.setdefault(run_id, Entry())
        while await self._step(run_id, entry):
            pass

    async def _step(self, run_id: int, entry: Entry) -> bool:
        """Do the next step for a run; returns whether there may be one after it already."""
        job = self._sighting.take_note(run_id, entry)
        if job not in {JobState.NONE, JobState.FOREIGN} and entry.run:
            self._sighting.note_launched(entry.run, entry)
        still_open, closed = entry.server is ServerState.OPEN, entry.server is ServerState.CLOSED
        kept = closed and job is JobState.FINISHED and self._ending.seconds_kept(run_id, entry)
        if kept:
            self._queue.add_later(run_id, kept)
        gone = job is JobState.NONE
        step = decide(
            entry.server,
            job,
            # The volume is looked at only where it matters.
            launched=gone and still_open and entry.run is not None and self._files.launched(entry.run),
            files=gone and closed and self._files.exist(run_id),
            active_reported=entry.active_reported,
            killed=entry.killed,
            place=self._places.has(run_id),
            kept=bool(kept),
        )
        log.debug(step.name, extra={"fields": {"run": run_id}})
        entry.progress.state = state(entry.server, job)
        if step is not Step.QUEUE:
            self._places.leave(run_id)
        if step in {Step.QUEUE, Step.START} and not self._may_start():
            return False
        if entry.run and (act := self._steps.get(step)):
            return await act(entry.run, entry)
        match step:
            case Step.ASK_SERVER:
                await self._ask_server(run_id, entry)
                return True
            case Step.REMOVE_FILES:
                await self._ending.remove_files(run_id, entry)
                return True
            case Step.DELETE_JOB:
                await self._ending.delete_job(run_id, entry)
            case Step.REPORT_FOREIGN:
                name = f"run-{run_id}"
                log.error("a Job of another server or node is in the way; delete it", extra={"fields": {"job": name}})
            case Step.FORGET:
                del self._entries[run_id]
                if entry.run:
                    self._closed.add(entry.run)
        return False

    async def _ask_server(self, run_id: int, entry: Entry) -> None:
        run = await self._session.find(run_id)
        if entry.server is ServerState.UNKNOWN:
            entry.server = ServerState.CLOSED if run is None else ServerState.OPEN
            entry.run = run or entry.run

    async def _report_active(self, run: Run, entry: Entry) -> bool:
        self._follow(run)  # first: the server may take its time
        await self._session.report_active(run)
        entry.active_reported = True
        entry.progress.runs(self._cluster.job(run.id), self._cluster.pod(run.id))
        return True

    def _follow(self, run: Run) -> None:
        if pod := self._cluster.pod(run.id):
            self._logs.follow(run, pod["metadata"]["name"])

    async def _wait(self, run: Run, entry: Entry) -> bool:
        job, pod = self._cluster.job(run.id), self._cluster.pod(run.id)
        if job is None:
            return False
        if job_state(job, pod) is JobState.RUNNING:
            self._follow(run)
            self._logs.show(run)
            return False
        if job_state(job, pod) is not JobState.PENDING:
            return False
        verdict = await self._notices.waits(run, entry, waiting(job, pod, self._cluster.trouble(run.id)))
        if verdict.end:
            return await self._ending.deliver(run, entry, Parcel(verdict.end))
        entry.aside = verdict.yields
        self._sighting.take_note(run.id, entry)
        if verdict.look_again is not None:
            # Rounding may have the timer fire a trifle early: no look at once then, again and again.
            self._queue.add_later(run.id, max(verdict.look_again, 0.01))
        return False
