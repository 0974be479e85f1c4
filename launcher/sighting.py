"""What is seen of a run's Job: whose it is, how far it is, and whether there is one at all."""

import logging

from launcher.cluster import Cluster
from launcher.diagnosis import job_state
from launcher.launch import Launch
from launcher.places import Places
from launcher.runentry import Entry
from launcher.runs import JobState, Run, ServerState
from launcher.taskfiles import TaskFiles

log = logging.getLogger(__name__)


class Sighting:
    """Looks at Jobs, and has places and volume know of them.

    Args:
        cluster: the Jobs and pods.
        files: the task volume.
        launch: knows whose a Job is.
        places: the node's places for runs.
    """

    def __init__(self, cluster: Cluster, files: TaskFiles, launch: Launch, places: Places) -> None:
        self._cluster = cluster
        self._files = files
        self._launch = launch
        self._places = places

    def state(self, run_id: int, entry: Entry) -> JobState:
        """The state of a run's Job as the watches have it."""
        job = self._cluster.job(run_id)
        if job is not None and not self._launch.is_ours(job, entry.run):
            return JobState.FOREIGN
        return job_state(job, self._cluster.pod(run_id))

    def take_note(self, run_id: int, entry: Entry) -> JobState:
        """The state of a run's Job, of which the places are told."""
        state = self.state(run_id, entry)
        self._places.seen(run_id, entry.kind, state, aside=entry.aside)
        # What was sent may become a Job in spite of everything that is known now.
        over = entry.server is ServerState.CLOSED or entry.killed or state is JobState.FOREIGN
        if over and not entry.sent and state in {JobState.NONE, JobState.FOREIGN}:
            self._places.give_back(run_id)
        return state

    def note_launched(self, run: Run, entry: Entry) -> None:
        """Note that the run has a Job, whoever created it: its answer may be lost; and learn of an earlier kill."""
        job = self._cluster.job(run.id)
        if job is None or job["metadata"]["uid"] == entry.noted:
            return
        try:
            # Not by a thread: cancelled, that would go on, and write the record beside whoever comes next.
            killed = self._files.note_launched(run, job["metadata"]["uid"])
        except OSError as error:  # the run goes on without
            log.warning("a Job can't be noted", extra={"fields": {"run": run.id, "reason": str(error)}})
            return
        entry.noted = job["metadata"]["uid"]
        if not entry.killed and killed is not None:  # by an earlier launcher, which ended before the Job did
            entry.killed, entry.killed_because = True, killed

    async def unseen_job(self, run: Run, entry: Entry) -> bool:
        """Whether a run that was prepared has a Job that is not known yet; if so, from now on it is.

        An answer may have been lost and the watch may lag: only the API server itself can say that there is none.
        """
        unknown = self._cluster.job(run.id) is None and self._files.directory(run).is_dir()
        if unknown and await self._cluster.read_job(run.name) is not None:
            return True
        entry.sent = False
        return False
