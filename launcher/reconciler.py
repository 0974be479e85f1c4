"""The loop that brings server and cluster together: for every run that changed anywhere, the next step, and do it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from prometheus_client import Counter

from launcher.algorithmenv import UnknownDatabase
from launcher.cluster import Cluster
from launcher.config import Jobs
from launcher.destinations import Unresolved
from launcher.diagnosis import job_state, outcome
from launcher.invariants import InvariantError
from launcher.kubeapi import ApiRefusal, ClusterUnavailable
from launcher.launch import Launch
from launcher.runs import JobState, Outcome, Run, RunStatus, ServerState, Step, decide
from launcher.session import InputUnreadable, ServerRefusal, ServerUnavailable, Session
from launcher.taskfiles import OutputError, TaskFiles
from launcher.templates import TemplateError
from launcher.workqueue import WorkQueue

log = logging.getLogger(__name__)

DELIVERED = Counter("v6_node_runs_delivered", "Runs whose result the server has, by status.", ["status"])
NOT_SHARED = "Node does not allow sharing algorithm logs"
VANISHED = "The algorithm's Job was removed from the cluster before it ended; send the task again."


@dataclass
class _Entry:
    """What is remembered of a run between two looks at it; all of it can be learnt again."""

    server: ServerState = ServerState.UNKNOWN
    run: Run | None = None
    active_reported: bool = False
    killed: bool = False
    killed_because: str = ""


class Reconciler:
    """Starts, watches, delivers and cleans up this node's runs.

    Args:
        session: the server.
        cluster: the Jobs and pods.
        files: the task volume.
        launch: makes the Jobs' manifests.
        jobs: limits of what is passed on.
        share_logs: whether the algorithm's log goes to the server.
        may_start: whether runs may be started now; what runs already is looked after in any case.
    """

    def __init__(
        self,
        session: Session,
        cluster: Cluster,
        files: TaskFiles,
        launch: Launch,
        jobs: Jobs,
        *,
        share_logs: bool,
        may_start: Callable[[], bool],
    ) -> None:
        self._session = session
        self._cluster = cluster
        self._files = files
        self._launch = launch
        self._jobs = jobs
        self._share_logs = share_logs
        self._may_start = may_start
        self._entries: dict[int, _Entry] = {}
        self._steps: dict[Step, Callable[[Run, _Entry], Awaitable[bool]]] = {
            Step.START: self._start,
            Step.REPORT_ACTIVE: self._report_active,
            Step.DELIVER: self._collect_and_deliver,
            Step.REPORT_VANISHED: self._report_vanished,
            Step.REPORT_KILLED: self._report_killed,
        }
        self._queue = WorkQueue(self._work, (ServerUnavailable, ClusterUnavailable, ServerRefusal, OSError))

    # What makes a run be looked at

    def changed(self, run_id: int) -> None:
        """Look at a run: something about it changed in the cluster."""
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
        self._look_at(run.id for run in runs)

    def killed(self, run_ids: list[int] | None, reason: str = "") -> None:
        """End these runs, or all (None); the reason is for the researcher."""
        known = self._entries.keys()
        for run_id in set(known) if run_ids is None else known & set(run_ids):
            self._entries[run_id].killed = True
            self._entries[run_id].killed_because = reason
            self._queue.add(run_id)

    def resume(self) -> None:
        """Look at every run that is known: what kept some from starting is over."""
        self._look_at(self._entries.keys())

    def recover(self) -> None:
        """Look at every run that an earlier launcher left something of."""
        self._look_at(set(self._cluster.run_ids) | set(self._files.leftovers()))

    def _look_at(self, run_ids: Iterable[int]) -> None:
        for run_id in sorted(run_ids):
            self._queue.add(run_id)

    @property
    def tmp_in_use(self) -> set[str]:
        """The shared directories of the jobs that have a run here."""
        return {self._files.tmp_sub_path(entry.run) for entry in self._entries.values() if entry.run}

    async def close(self, patience: float) -> None:
        """Finish the steps that are under way, for at most `patience` seconds; Jobs go on running."""
        await self._queue.close(patience)

    # What is done about it

    async def _work(self, run_id: int) -> None:
        entry = self._entries.setdefault(run_id, _Entry())
        while await self._step(run_id, entry):
            pass

    async def _step(self, run_id: int, entry: _Entry) -> bool:
        """Do the next step for a run; returns whether there may be one after it already."""
        job = self._job_state(run_id, entry)
        step = decide(
            entry.server,
            job,
            # The volume is looked at only where it matters.
            launched=job is JobState.NONE and entry.run is not None and self._files.launched(entry.run),
            files=job is JobState.NONE and self._files.exist(run_id),
            active_reported=entry.active_reported,
            killed=entry.killed,
        )
        log.debug(step.name, extra={"fields": {"run": run_id}})
        if step is Step.START and not self._may_start():
            return False
        if entry.run and (act := self._steps.get(step)):
            return await act(entry.run, entry)
        match step:
            case Step.ASK_SERVER:
                await self._ask_server(run_id, entry)
                return True
            case Step.REMOVE_FILES:
                await asyncio.to_thread(self._files.remove, run_id)
                log.info("cleaned up", extra={"fields": {"run": run_id}})
                return True
            case Step.DELETE_JOB:
                await self._delete_job(run_id)
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

    async def _ask_server(self, run_id: int, entry: _Entry) -> None:
        run = await self._session.find(run_id)
        if entry.server is ServerState.UNKNOWN:
            entry.server = ServerState.CLOSED if run is None else ServerState.OPEN
            entry.run = run or entry.run

    async def _start(self, run: Run, entry: _Entry) -> bool:
        try:
            content = await self._session.take(run)
        except InputUnreadable as error:
            return await self._deliver(run, entry, Outcome(RunStatus.FAILED, str(error)), b"", "")
        if content is None:
            entry.server = ServerState.CLOSED
            return True
        try:
            token = await self._session.algorithm_token(run)
            manifest = await self._launch.manifest(run)
            await asyncio.to_thread(self._files.prepare, run, content, token)
            if not self._may_start():  # any more: all this took a while
                return False
            job = await self._cluster.create_job(manifest)
        except (ServerRefusal, UnknownDatabase, Unresolved, TemplateError, InvariantError, ApiRefusal) as error:
            return await self._deliver(run, entry, Outcome(RunStatus.START_FAILED, _sentence(error)), b"", "")
        if job is None:  # there is one: have another look at it
            return await self._cluster.read_job(run.name) is not None
        self._files.note_launched(run, job["metadata"]["uid"])
        log.info("started", extra={"fields": {"run": run.id, "task": run.task_id, "image": run.image}})
        return True

    async def _report_active(self, run: Run, entry: _Entry) -> bool:
        await self._session.report_active(run)
        entry.active_reported = True
        return True

    async def _collect_and_deliver(self, run: Run, entry: _Entry) -> bool:
        job, pod = self._cluster.job(run.id), self._cluster.pod(run.id)
        end = outcome(job, pod) if job else None
        if end is None:
            return True
        text = await self._read_log(run)
        result = b""
        try:
            result = await asyncio.to_thread(self._files.read_output, run, self._jobs.maxResultBytes)
        except OutputError as error:
            if not end.failed:
                end = Outcome(RunStatus.FAILED, str(error))
        if end.failed and (moved := await self._launch.moved(run, job or {})):
            end = Outcome(end.status, f"{end.sentence} {moved}")
        return await self._deliver(run, entry, end, result, text)

    async def _report_vanished(self, run: Run, entry: _Entry) -> bool:
        # The watch may lag behind: only the API server itself can say that there is no Job.
        if await self._cluster.read_job(run.name) is not None:
            return True
        return await self._deliver(run, entry, Outcome(RunStatus.UNKNOWN_ERROR, VANISHED), b"", "")

    async def _report_killed(self, run: Run, entry: _Entry) -> bool:
        return await self._deliver(
            run, entry, Outcome(RunStatus.KILLED, entry.killed_because), b"", await self._read_log(run)
        )

    async def _read_log(self, run: Run) -> str:
        pod = self._cluster.pod(run.id)
        if pod is None or not self._share_logs:
            return ""
        return await self._cluster.read_log(pod, self._jobs.maxLogBytes)

    async def _deliver(self, run: Run, entry: _Entry, end: Outcome, result: bytes, text: str) -> bool:
        shown = text if self._share_logs else NOT_SHARED
        report = "\n".join(part for part in (shown.rstrip("\n"), end.sentence) if part)
        try:
            await self._session.deliver(run, end, result, report)
        except ServerRefusal as refusal:
            end = Outcome(RunStatus.FAILED, f"The server did not take the result: {refusal.message}")
            await self._session.deliver(run, end, b"", end.sentence)
        entry.server = ServerState.CLOSED
        DELIVERED.labels(end.status.value).inc()
        fields = {"run": run.id, "task": run.task_id, "status": end.status.value, "bytes": len(result)}
        log.info("delivered", extra={"fields": {**fields, "reason": end.sentence} if end.sentence else fields})
        return True

    async def _delete_job(self, run_id: int) -> None:
        if job := self._cluster.job(run_id):
            await self._cluster.delete_job(job)


def _sentence(error: Exception) -> str:
    return f"The algorithm could not be started: {error}"
