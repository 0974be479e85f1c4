"""How far a run has come, and how long each stage took: for the metrics alone, nothing is decided by it."""

import time
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from launcher.kubeapi import Tree
from launcher.metrics import BACKLOG, OLDEST, RUNS, STAGES
from launcher.runs import JobState, ServerState
from launcher.waiting import CONTAINER


class Stage(StrEnum):
    """What happens to a run, in the order in which it happens."""

    HEARD = "heard"
    PLACED = "placed"  # it has one of the node's places for algorithms, and the task volume has room
    TAKEN = "taken"
    WRITTEN = "written"
    CREATED = "created"
    SCHEDULED = "scheduled"
    STARTED = "started"
    ENDED = "ended"
    NOTICED = "noticed"  # by the launcher, that it has ended
    READ = "read"
    DELIVERED = "delivered"
    CLEANED = "cleaned"


_ORDER = list(Stage)
TIMED = _ORDER[1:]
"""The stages whose length is measured: from the end of the one before to their own."""


class State(StrEnum):
    """Where a run is."""

    OPEN = "open"  # at the server; nothing of it is in the cluster
    WAITING = "waiting"  # its Job is there, its algorithm does not run yet
    RUNNING = "running"
    ENDED = "ended"  # the server does not have its result
    CLOSED = "closed"  # it has; some of it is still here
    UNKNOWN = "unknown"  # the server has to be asked
    FOREIGN = "foreign"  # a Job of another server's or node's run is in the way


_OF_JOB = {
    JobState.NONE: State.OPEN,
    JobState.PENDING: State.WAITING,
    JobState.RUNNING: State.RUNNING,
    JobState.FINISHED: State.ENDED,
    JobState.DELETING: State.ENDED,
}


def state(server: ServerState, job: JobState) -> State:
    """The state of a run, by what server and cluster have of it."""
    if job is JobState.FOREIGN:
        return State.FOREIGN
    if server is ServerState.OPEN:
        return _OF_JOB[job]
    return State.CLOSED if server is ServerState.CLOSED else State.UNKNOWN


class Progress:
    """One run's.

    What this launcher does is timed by its own clock. What the cluster does (scheduled, started, ended) is timed by the
    cluster's stamps, which have whole seconds, and of Jobs that this process made.
    """

    __slots__ = ("_reached", "state")

    def __init__(self) -> None:
        self.state = State.UNKNOWN
        self._reached: dict[Stage, float] = {}

    def reached(self, stage: Stage) -> None:
        """Note that a stage is over now; told again (a step was repeated), the first time counts.

        What came after it is forgotten: an earlier attempt was given up.
        """
        if stage in self._reached:
            return
        self._reached[stage] = time.monotonic()
        for later in _ORDER[_ORDER.index(stage) + 1 :]:
            self._reached.pop(later, None)
        before = self._reached.get(_ORDER[_ORDER.index(stage) - 1])
        if before is not None and stage is not Stage.HEARD:
            _observe(stage, self._reached[stage] - before)

    def runs(self, job: Tree | None, pod: Tree | None) -> None:
        """Take the cluster's stamps of an algorithm that began, or has ended already."""
        if Stage.CREATED not in self._reached or Stage.STARTED in self._reached or job is None or pod is None:
            return
        began = _began(pod)
        scheduled = _moment(_condition(pod, "PodScheduled").get("lastTransitionTime"))
        created = _moment(job["metadata"].get("creationTimestamp"))
        if created and scheduled and began:
            _observe(Stage.SCHEDULED, scheduled - created)
            _observe(Stage.STARTED, began - scheduled)
            self._reached[Stage.STARTED] = time.monotonic()

    def noticed(self, pod: Tree | None = None) -> None:
        """Note that the run has ended; its result, or that there is none, has to be delivered from now on."""
        if Stage.NOTICED in self._reached:
            return
        self._reached[Stage.NOTICED] = time.monotonic()
        began, ended = _began(pod), _moment(_ran(pod).get("finishedAt"))
        if began and ended:
            _observe(Stage.ENDED, ended - began)
            _observe(Stage.NOTICED, time.time() - ended)

    @property
    def undelivered_since(self) -> float | None:
        """Since when the run waits for the server to take its result (`time.monotonic()`), if it does."""
        waits = self.state is not State.CLOSED and Stage.DELIVERED not in self._reached
        return self._reached.get(Stage.NOTICED) if waits else None


def show(known: Iterable[Progress]) -> None:
    """Set the gauges that are about all runs."""
    counts = dict.fromkeys(State, 0)
    since: list[float] = []
    for each in known:
        counts[each.state] += 1
        if (waits := each.undelivered_since) is not None:
            since.append(waits)
    for name, count in counts.items():
        RUNS.labels(name).set(count)
    BACKLOG.set(len(since))
    OLDEST.set(time.monotonic() - min(since) if since else 0)


def _observe(stage: Stage, seconds: float) -> None:
    # The clocks of two machines differ, and the cluster's stamps are cut to seconds.
    STAGES.labels(stage).observe(max(seconds, 0.0))


def _began(pod: Tree | None) -> float | None:
    return _moment(_ran(pod).get("startedAt"))


def _ran(pod: Tree | None) -> Tree:
    for status in (pod or {}).get("status", {}).get("containerStatuses") or ():
        if status["name"] == CONTAINER:
            state = status.get("state") or {}
            return dict(state.get("terminated") or state.get("running") or {})
    return {}


def _condition(pod: Tree, kind: str) -> Tree:
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition["type"] == kind and condition["status"] == "True":
            return dict(condition)
    return {}


def _moment(stamp: str | None) -> float | None:
    try:
        return datetime.fromisoformat(stamp).timestamp() if stamp else None
    except ValueError:  # no run may fail over its metrics
        return None
