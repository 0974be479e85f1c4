"""Which run starts next: the places that a node has for algorithms, and the lines of runs that wait for one.

A central function waits for its subtasks, on this node and on others. With the same places for both, central functions
could hold all of them, here or on two nodes crosswise, and wait for ever. So tasks and subtasks have places of their
own, and what a subtask sends in its turn waits for none: whoever waits for somebody waits for a kind that gets on.

Here is no clock and no I/O, so that properties can be tested; all that is known can be learnt again from the cluster.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable
from enum import Enum, auto
from heapq import merge
from itertools import islice

from launcher.runs import Cause, JobState, RunStatus
from launcher.waiting import Patience, Waiting

STARTS_AT_ONCE = 32
"""Runs that are taken and prepared at the same time: each has its input in memory, and asks server and registry."""


class Kind(Enum):
    """Who waits for a run."""

    TASK = auto()  # a researcher
    SUBTASK = auto()  # an algorithm that a researcher sent
    DEEPER = auto()  # a subtask's algorithm


def room(limit: int, holding: int, aside: int) -> int:
    """How many more runs of a kind may start.

    Args:
        limit: the number of places.
        holding: Jobs that hold one.
        aside: Jobs that waited for long and gave theirs up. As many as there are places may, or a full cluster would
            get every Job at last, and run them all at once as soon as it has room.
    """
    return max(0, min(limit - holding, 2 * limit - holding - aside))


def in_line(limit: int, before: int, kind: Kind) -> Waiting:
    """What a run that waits for a place is told.

    Numbers of two digits and more are rounded: the log at the server gets a line for each new one.
    """
    what = {Kind.TASK: "run", Kind.SUBTASK: "run of a subtask", Kind.DEEPER: "run"}[kind]
    counted = f"{limit} {what.replace('run', 'runs', 1)}" if limit > 1 else f"1 {what}"
    if before == 0:
        place = "this one is the next"
    elif before < 10:
        place = f"{before} {'is' if before == 1 else 'are'} before this one"
    else:
        step = 10 ** (len(str(before)) - 1)
        place = f"at least {before // step * step} are before this one"
    sentence = f"This node executes at most {counted} at a time (jobs.maxConcurrent), and {place}."
    return Waiting(Patience.ENDLESS, RunStatus.START_FAILED, sentence, "", Cause.ROOM)


class Places:
    """Gives places to the oldest first.

    Args:
        limit: places for tasks, and for subtasks; None: as many as are wanted.
        call: told a run that may have a place now: it should ask.
        starts: how many runs may be on their way from asking to having a Job.
    """

    def __init__(self, limit: int | None, call: Callable[[int], None], starts: int = STARTS_AT_ONCE) -> None:
        self.limit = limit
        self._call = call
        self._starts = starts
        self._starting: set[int] = set()
        self._given: set[int] = set()  # whose Job was not seen yet
        self._holders: dict[int, tuple[Kind | None, bool]] = {}  # with whether it stands aside
        self._numbers: Counter[tuple[Kind | None, bool]] = Counter()
        self._lines: dict[Kind, list[int]] = {kind: [] for kind in Kind}
        self._standing: dict[int, Kind] = {}
        self._called: set[int] = set()

    def has(self, run_id: int) -> bool:
        """Whether a place was given to a run whose Job was not seen yet."""
        return run_id in self._given

    def ask(self, run_id: int, kind: Kind) -> bool:
        """Get a place, or stand in line for one; returns whether it was given."""
        if run_id in self._given:
            return True
        self._step_out(run_id)
        turns = self._starts - len(self._starting)
        before = bisect_left(self._lines[kind], run_id)
        older = sum(min(bisect_left(line, run_id), self._room(each)) for each, line in self._lines.items())
        if before < self._room(kind) and older < turns:
            self._given.add(run_id)
            self._starting.add(run_id)
            self._hold(run_id, kind, aside=False)
            return True
        insort(self._lines[kind], run_id)
        self._standing[run_id] = kind
        return False

    def before(self, run_id: int) -> int | None:
        """How many runs are before one that waits for others to end; None if it waits for no more than its turn."""
        kind = self._standing.get(run_id)
        if kind is None or (index := bisect_left(self._lines[kind], run_id)) < self._room(kind):
            return None
        return index

    def started(self, run_id: int) -> None:
        """Take note that a run is not on its way to a Job any more, whatever came of it."""
        self._starting.discard(run_id)
        self._call_next()

    def seen(self, run_id: int, kind: Kind | None, state: JobState, *, aside: bool = False) -> None:
        """Take note of what the cluster has of a run.

        Args:
            run_id: whose.
            kind: of the run; None while it is not known: it then counts for all.
            state: of its Job. One that was given a place keeps it until a Job was seen, or the place is given back.
            aside: whether it gives its place up while it waits.
        """
        if state in {JobState.NONE, JobState.FOREIGN} and run_id in self._given:
            self._hold(run_id, kind, aside=False)
        elif state in {JobState.PENDING, JobState.RUNNING}:
            self._given.discard(run_id)
            self._hold(run_id, kind, aside=aside and state is JobState.PENDING)
        else:
            self.give_back(run_id)

    def give_back(self, run_id: int) -> None:
        """Take note that a run needs no place now."""
        self._given.discard(run_id)
        if (held := self._holders.pop(run_id, None)) is not None:
            self._numbers[held] -= 1
            self._call_next()

    def leave(self, run_id: int) -> None:
        """Take a run out of its line."""
        if self._step_out(run_id):
            self._call_next()

    def _step_out(self, run_id: int) -> bool:
        kind = self._standing.pop(run_id, None)
        if kind is None:
            return False
        self._called.discard(run_id)
        line = self._lines[kind]
        del line[bisect_left(line, run_id)]
        return True

    def _hold(self, run_id: int, kind: Kind | None, *, aside: bool) -> None:
        before, now = self._holders.get(run_id), (kind, aside)
        if before == now:
            return
        self._holders[run_id] = now
        self._numbers[now] += 1
        if before is not None:
            self._numbers[before] -= 1
            self._call_next()

    def _room(self, kind: Kind) -> int:
        if self.limit is None or kind is Kind.DEEPER:
            return self._starts
        holding, aside = (self._numbers[kind, each] + self._numbers[None, each] for each in (False, True))
        return room(self.limit, holding, aside)

    def _call_next(self) -> None:
        turns = self._starts - len(self._starting)
        heads = [line[: min(self._room(kind), max(turns, 0))] for kind, line in self._lines.items()]
        for run_id in list(islice(merge(*heads), max(turns, 0))):
            # Once: a second call would reach it after it has failed, and end the pause that it makes then.
            if run_id not in self._called:
                self._called.add(run_id)
                self._call(run_id)
