"""The loop that brings server and cluster together: for every run that changed anywhere, the next step, and do it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from launcher import audit
from launcher.algorithmenv import UnknownDatabase
from launcher.approval import Approval, NotApproved
from launcher.cluster import Cluster
from launcher.config import Jobs
from launcher.delivery import Delivery, Parcel
from launcher.destinations import Unresolved
from launcher.diagnosis import has_ended, job_state, never_again, outcome
from launcher.invariants import InvariantError
from launcher.kubeapi import ApiRefusal, ClusterUnavailable, Tree
from launcher.launch import Launch
from launcher.logfollow import LogFollower
from launcher.places import Kind, Places, in_line
from launcher.progress import Progress, Stage, show, state
from launcher.runcontext import NoRunContext
from launcher.runs import Cause, JobState, Outcome, Receipt, Run, RunStatus, ServerState, Step, decide
from launcher.session import InputUnreadable, LoginRefused, ServerRefusal, ServerUnavailable, Session
from launcher.taskfiles import TaskFiles
from launcher.templates import TemplateError
from launcher.vigil import Verdict, Vigil
from launcher.waiting import Waiting, waiting
from launcher.workqueue import WorkQueue

log = logging.getLogger(__name__)

NO_MANIFEST = (TemplateError, InvariantError)

_LOOK_AT_LINE_EVERY = 31.0  # seconds; a vigil speaks after 30

VANISHED = "The algorithm's Job was removed from the cluster before it ended; send the task again."


@dataclass
class _Entry:
    """What is remembered of a run between two looks at it; all of it can be learnt again."""

    server: ServerState = ServerState.UNKNOWN
    run: Run | None = None
    active_reported: bool = False
    killed: bool = False
    killed_because: str = ""
    vigil: Vigil | None = None
    aside: bool = False
    """Whether it waits in the cluster for so long that it holds none of the node's places."""
    deeper: bool | None = None
    """Whether the task that sent it is a subtask itself; None: not asked yet."""
    sent: bool = False
    """Whether a Job may have been made that was not seen yet."""
    keep_log: bool = False
    policy: str | None = None
    noted: str | None = None
    held_back: bool = False
    job: Tree | None = None
    pod: Tree | None = None
    progress: Progress = field(default_factory=Progress)

    @property
    def kind(self) -> Kind | None:
        """Who waits for it; None while that is not known."""
        if self.run is None:
            return None
        if self.run.parent_id is None:
            return Kind.TASK
        return Kind.DEEPER if self.deeper else Kind.SUBTASK


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
        self._launch = launch
        self._approval = approval
        self._jobs = jobs
        self._share_logs = share_logs
        self._may_start = may_start
        self._lacks_room = lacks_room
        self._keep_failed = keep_failed
        self._logs = LogFollower(cluster, files, jobs.maxLogBytes, session.show_log if share_logs else None)
        self._delivery = Delivery(session, files, launch, self._logs, jobs, share_logs=share_logs)
        self._entries: dict[int, _Entry] = {}
        self._steps: dict[Step, Callable[[Run, _Entry], Awaitable[bool]]] = {
            Step.QUEUE: self._queue_up,
            Step.START: self._start,
            Step.WAIT: self._wait,
            Step.REPORT_ACTIVE: self._report_active,
            Step.DELIVER: self._collect_and_deliver,
            Step.REPORT_VANISHED: self._report_vanished,
            Step.REPORT_KILLED: self._report_killed,
        }
        passing = (ServerUnavailable, ClusterUnavailable, ServerRefusal, LoginRefused, OSError)
        self._queue = WorkQueue(self._work, passing)
        self._places = Places(jobs.maxConcurrent, self._queue.add)

    # What makes a run be looked at

    def changed(self, run_id: int) -> None:
        """Look at a run: something about it changed in the cluster."""
        # At once, however much there is to do: others may wait for its place.
        self._take_note(run_id, self._entries.setdefault(run_id, _Entry()))
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
            entry = self._entries.setdefault(run.id, _Entry())
            # A list may be older than the delivery of a run in it: what was closed stays closed.
            if entry.server is ServerState.CLOSED and entry.run and entry.run.assigned_at == run.assigned_at:
                continue
            entry.server, entry.run = ServerState.OPEN, run
            entry.progress.reached(Stage.HEARD)
            self._take_note(run.id, entry)
        self._look_at(run.id for run in runs)

    def killed(self, run_ids: list[int] | None, reason: str = "") -> None:
        """End these runs, or all that are known (None); the reason is for the researcher."""
        for run_id in list(self._entries) if run_ids is None else run_ids:
            # One that is not known yet may be in a list that is on its way.
            entry = self._entries.setdefault(run_id, _Entry())
            entry.killed, entry.killed_because = True, reason
            self._queue.add(run_id)

    def resume(self) -> None:
        """Look at every run that is known: what kept some from starting is over."""
        self._look_at(self._entries.keys())

    def recover(self) -> None:
        """Look at every run that an earlier launcher left something of."""
        for run_id in self._cluster.run_ids:
            self._take_note(run_id, self._entries.setdefault(run_id, _Entry()))
        self._look_at(set(self._cluster.run_ids) | set(self._files.leftovers()))

    def _look_at(self, run_ids: Iterable[int]) -> None:
        for run_id in sorted(run_ids):
            self._queue.add(run_id)

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
        entry = self._entries.setdefault(run_id, _Entry())
        while await self._step(run_id, entry):
            pass

    async def _step(self, run_id: int, entry: _Entry) -> bool:
        """Do the next step for a run; returns whether there may be one after it already."""
        job = self._take_note(run_id, entry)
        if job not in {JobState.NONE, JobState.FOREIGN} and entry.run:
            self._note_launched(entry.run, entry)
        kept = entry.server is ServerState.CLOSED and job is JobState.FINISHED and self._seconds_kept(run_id)
        if kept:
            self._queue.add_later(run_id, kept)
        step = decide(
            entry.server,
            job,
            # The volume is looked at only where it matters.
            launched=job is JobState.NONE and entry.run is not None and self._files.launched(entry.run),
            files=job is JobState.NONE and self._files.exist(run_id),
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
                if entry.sent and entry.run and await self._unseen_job(entry.run, entry):
                    return True
                await self._logs.stop(run_id)
                keep_log = entry.keep_log or not self._share_logs
                await asyncio.to_thread(self._files.remove, run_id, keep_log=keep_log)
                entry.progress.reached(Stage.CLEANED)
                log.info("cleaned up", extra={"fields": {"run": run_id}})
                return True
            case Step.DELETE_JOB:
                await self._delete_job(run_id, entry)
            case Step.REPORT_FOREIGN:
                name = f"run-{run_id}"
                log.error("a Job of another server or node is in the way; delete it", extra={"fields": {"job": name}})
            case Step.FORGET:
                del self._entries[run_id]
        return False

    def _job_state(self, run_id: int, entry: _Entry) -> JobState:
        job = self._cluster.job(run_id)
        if job is not None and not self._launch.is_ours(job, entry.run):
            return JobState.FOREIGN
        return job_state(job, self._cluster.pod(run_id))

    def _take_note(self, run_id: int, entry: _Entry) -> JobState:
        """The state of a run's Job, of which the places are told."""
        state = self._job_state(run_id, entry)
        self._places.seen(run_id, entry.kind, state, aside=entry.aside)
        # What was sent may become a Job in spite of everything that is known now.
        over = entry.server is ServerState.CLOSED or entry.killed or state is JobState.FOREIGN
        if over and not entry.sent and state in {JobState.NONE, JobState.FOREIGN}:
            self._places.give_back(run_id)
        return state

    def _note_launched(self, run: Run, entry: _Entry) -> None:
        """Note that the run has a Job, whoever created it: its answer may be lost; and learn of an earlier kill."""
        job = self._cluster.job(run.id)
        if job is None or job["metadata"]["uid"] == entry.noted:
            return
        try:
            self._files.note_launched(run, job["metadata"]["uid"])
            entry.noted = job["metadata"]["uid"]
            # By an earlier launcher, which ended before the Job did.
            if not entry.killed and (reason := self._files.killed(run)) is not None:
                entry.killed, entry.killed_because = True, reason
        except OSError as error:  # the run goes on without
            log.warning("a Job can't be noted", extra={"fields": {"run": run.id, "reason": str(error)}})

    async def _hold_back(self, run: Run, entry: _Entry, why: str) -> bool:
        """Leave a run pending until `resume`, without a place of the node, and say why."""
        self._give_place_back(run, entry)
        if not entry.held_back and await self._session.show_log(run, f"{why}\n"):
            entry.held_back = True
            log.info("waits", extra={"fields": {"run": run.id, "reason": why}})
        return False

    def _seconds_kept(self, run_id: int) -> float:
        """For how long what an ended run left is still kept."""
        retention, job = self._keep_failed(), self._cluster.job(run_id)
        ended = retention and job is not None and never_again(job, self._cluster.pod(run_id))
        failed = self._files.failed_for(run_id) if ended else None
        return 0.0 if failed is None else max(retention - failed, 0.0)

    async def _ask_server(self, run_id: int, entry: _Entry) -> None:
        run = await self._session.find(run_id)
        if entry.server is ServerState.UNKNOWN:
            entry.server = ServerState.CLOSED if run is None else ServerState.OPEN
            entry.run = run or entry.run

    async def _queue_up(self, run: Run, entry: _Entry) -> bool:
        """Get a place, or wait in line: nothing is asked of the server yet, and nothing of the run is in memory."""
        kind = entry.kind
        assert kind is not None
        if self._places.ask(run.id, kind):
            entry.vigil = None
            return True
        before = self._places.before(run.id)
        if before is None or self._places.limit is None:
            return False
        if kind is Kind.SUBTASK and entry.deeper is None:
            entry.deeper = await self._is_deeper(run)
            return True
        await self._tell(run, entry, in_line(self._places.limit, before, kind))
        # The farther back, the more seldom: a thousand runs in line are not to keep the server busy.
        self._queue.add_later(run.id, max(_LOOK_AT_LINE_EVERY, before / 2))
        return False

    async def _is_deeper(self, run: Run) -> bool:
        try:
            return run.parent_id is not None and await self._session.is_subtask(run.parent_id)
        except ServerRefusal:  # it is gone, or none of this node's business: better one too many than one too few
            return True

    async def _start(self, run: Run, entry: _Entry) -> bool:
        try:
            if why := await self._lacks_room():
                return await self._hold_back(run, entry, why)
            entry.progress.reached(Stage.PLACED)
            return await self._launch_it(run, entry)
        except Exception:
            # It is tried again later, and no other has to wait for that.
            self._give_place_back(run, entry)
            raise
        finally:
            self._places.started(run.id)

    def _give_place_back(self, run: Run, entry: _Entry) -> None:
        if not entry.sent:  # what may have become a Job counts as one
            self._places.give_back(run.id)

    async def _launch_it(self, run: Run, entry: _Entry) -> bool:
        if await self._unseen_job(run, entry):
            return True
        try:
            content = await self._session.take(run)
        except InputUnreadable as error:
            return await self._deliver(run, entry, Parcel(Outcome(RunStatus.FAILED, str(error), cause=Cause.INPUT)))
        if content is None:
            entry.server = ServerState.CLOSED
            return True
        entry.progress.reached(Stage.TAKEN)
        try:
            approved = await self._approval.of(run)
            entry.policy = approved.rule
            token = await self._session.algorithm_token(run)
            manifest = await self._launch.manifest(run, approved)
            further = self._launch.further_files(run, content)
            await asyncio.to_thread(self._files.prepare, run, content, token, further)
            entry.progress.reached(Stage.WRITTEN)
            if not (self._places.has(run.id) and self._may_start()) or entry.killed:  # any more: all this took a while
                return entry.killed or not self._places.has(run.id)
            entry.sent = True
            job = await self._cluster.create_job(manifest)
        except NotApproved as refusal:
            entry.policy, end = refusal.rule, refusal.outcome
        except (ServerRefusal, UnknownDatabase, NoRunContext, Unresolved, *NO_MANIFEST, ApiRefusal) as error:
            end = Outcome(RunStatus.START_FAILED, _sentence(error), cause=Cause.MANIFEST)
        else:
            entry.progress.reached(Stage.CREATED)
            return await self._launched(run, entry, job)
        entry.sent = False
        return await self._deliver(run, entry, Parcel(end))

    async def _launched(self, run: Run, entry: _Entry, job: Tree | None) -> bool:
        seen = job or await self._cluster.read_job(run.name)  # if none was made there is one: have another look at it
        entry.sent = False
        if job:
            log.info("started", extra={"fields": {"run": run.id, "task": run.task_id, "image": run.image}})
        return seen is not None

    async def _report_active(self, run: Run, entry: _Entry) -> bool:
        self._follow(run)  # first: the server may take its time
        await self._session.report_active(run)
        entry.active_reported = True
        entry.progress.runs(self._cluster.job(run.id), self._cluster.pod(run.id))
        return True

    def _follow(self, run: Run) -> None:
        if pod := self._cluster.pod(run.id):
            self._logs.follow(run, pod["metadata"]["name"])

    async def _wait(self, run: Run, entry: _Entry) -> bool:
        job, pod = self._cluster.job(run.id), self._cluster.pod(run.id)
        if job is None:
            return False
        if job_state(job, pod) is JobState.RUNNING:
            self._follow(run)
            self._logs.show(run)
            return False
        if job_state(job, pod) is not JobState.PENDING:
            return False
        verdict = await self._tell(run, entry, waiting(job, pod, self._cluster.trouble(run.id)))
        if verdict.end:
            return await self._deliver(run, entry, Parcel(verdict.end))
        entry.aside = verdict.yields
        self._take_note(run.id, entry)
        if verdict.look_again is not None:
            # Rounding may have the timer fire a trifle early: no look at once then, again and again.
            self._queue.add_later(run.id, max(verdict.look_again, 0.01))
        return False

    async def _tell(self, run: Run, entry: _Entry, why: Waiting | None) -> Verdict:
        """What follows from a run's waiting; the researcher is told of it when it is time to."""
        entry.vigil = vigil = entry.vigil or Vigil(self._jobs.waitForRoomSeconds, self._jobs.waitForRepairSeconds)
        verdict = vigil.look(why, time.monotonic())
        if why and verdict.tell and await self._session.show_log(run, f"{verdict.tell}\n"):
            vigil.told(why, time.monotonic())
            log.info("waits", extra={"fields": {"run": run.id, "reason": why.sentence, "detail": why.detail}})
        return verdict

    async def _collect_and_deliver(self, run: Run, entry: _Entry) -> bool:
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
            return await self._deliver(run, entry, parcel)

    async def _report_vanished(self, run: Run, entry: _Entry) -> bool:
        if await self._unseen_job(run, entry):
            return True
        killed = self._files.killed(run)
        end = Outcome(RunStatus.UNKNOWN_ERROR, VANISHED, cause=Cause.VANISHED) if killed is None else _killed(killed)
        return await self._deliver(run, entry, Parcel(end, kept=await self._logs.collect(run, None)))

    async def _unseen_job(self, run: Run, entry: _Entry) -> bool:
        """Whether a run that was prepared has a Job that is not known yet; if so, from now on it is.

        An answer may have been lost and the watch may lag: only the API server itself can say that there is none.
        """
        unknown = self._cluster.job(run.id) is None and self._files.directory(run).is_dir()
        if unknown and await self._cluster.read_job(run.name) is not None:
            return True
        entry.sent = False
        return False

    async def _report_killed(self, run: Run, entry: _Entry) -> bool:
        if await self._unseen_job(run, entry):
            return True
        pod = self._cluster.pod(run.id)
        kept = await self._logs.collect(run, pod["metadata"]["name"] if pod else None, patience=0)
        return await self._deliver(run, entry, Parcel(_killed(entry.killed_because), kept=kept))

    async def _deliver(self, run: Run, entry: _Entry, parcel: Parcel) -> bool:
        entry.progress.noticed()
        receipt = await self._delivery.hand_over(run, parcel)
        entry.progress.reached(Stage.DELIVERED)
        entry.keep_log = not receipt.whole
        entry.server = ServerState.CLOSED
        self._audit(run.id, entry, receipt)
        return True

    async def _delete_job(self, run_id: int, entry: _Entry) -> None:
        if job := self._cluster.job(run_id):
            pod = self._cluster.pod(run_id)
            if entry.server is not ServerState.CLOSED:  # so that a launcher started anew knows why it is gone
                await asyncio.to_thread(self._files.note_killed, run_id, entry.killed_because)
                entry.job, entry.pod = job, pod
            elif not await asyncio.to_thread(self._files.audited, run_id):
                # Closed by the server itself, or delivered by a launcher that ended at that very moment.
                end = outcome(job, pod) or _killed("The server had closed the run already.")
                self._audit(run_id, entry, Receipt(end, None, None))
            await self._cluster.delete_job(job)

    def _audit(self, run_id: int, entry: _Entry, receipt: Receipt) -> None:
        # A killed run's Job is gone before the server is told.
        job, pod = self._cluster.job(run_id) or entry.job, self._cluster.pod(run_id) or entry.pod
        known = audit.of_job(job) if job else audit.of_run(entry.run, entry.policy) if entry.run else {}
        audit.write(self._session.identity, run_id, known, receipt, pod=pod)
        self._files.note_audited(run_id, failed=receipt.end.failed)


def _killed(sentence: str) -> Outcome:
    return Outcome(RunStatus.KILLED, sentence, cause=Cause.KILLED)


def _sentence(error: Exception) -> str:
    return f"The algorithm could not be started: {error}"
