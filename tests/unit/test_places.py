"""Who gets a place, and in which order: against a slow and simple account of the same, for all that may happen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.places import Kind, Places, in_line, room
from launcher.runs import JobState
from launcher.waiting import Patience

TASK, SUBTASK, DEEPER = Kind.TASK, Kind.SUBTASK, Kind.DEEPER
NONE, PENDING, RUNNING, FINISHED = JobState.NONE, JobState.PENDING, JobState.RUNNING, JobState.FINISHED


class Doors:
    """Places, with who was called."""

    def __init__(self, limit, starts=32):
        self.called = []
        self.places = Places(limit, self.called.append, starts)

    def run(self, run_id, kind=TASK):
        """The run asks, gets a place, and has a Job."""
        assert self.places.ask(run_id, kind)
        self.places.started(run_id)
        self.places.seen(run_id, kind, RUNNING)


def test_the_oldest_is_next_however_they_asked():
    doors = Doors(1)
    doors.run(5)
    assert [doors.places.ask(run_id, TASK) for run_id in (9, 7, 8)] == [False] * 3
    assert [doors.places.before(run_id) for run_id in (7, 8, 9)] == [0, 1, 2]
    doors.places.seen(5, TASK, FINISHED)
    assert doors.called == [7]
    assert not doors.places.ask(9, TASK), "it is not its turn"
    assert doors.places.ask(7, TASK)


@pytest.mark.parametrize("state", [FINISHED, JobState.DELETING, NONE, JobState.FOREIGN])
def test_a_job_that_ended_or_is_being_deleted_holds_no_place(state):
    doors = Doors(1)
    doors.run(1)
    doors.places.ask(2, TASK)
    doors.places.seen(1, TASK, state)
    assert doors.called == [2]


def test_one_that_leaves_the_line_makes_way_for_the_one_behind():
    doors = Doors(2)
    doors.run(1)
    doors.run(2)
    for run_id in (3, 4):
        doors.places.ask(run_id, TASK)
    doors.places.seen(1, TASK, FINISHED)
    doors.places.leave(3)
    assert doors.called == [3, 4]
    assert doors.places.ask(4, TASK)


def test_a_place_is_kept_for_what_may_have_become_a_job_until_it_is_given_back():
    doors = Doors(1)
    assert doors.places.ask(1, TASK)
    doors.places.started(1)
    doors.places.seen(1, TASK, NONE)
    assert not doors.places.ask(2, TASK)
    assert doors.places.has(1)
    doors.places.give_back(1)
    assert doors.called == [2]
    assert not doors.places.has(1)


def test_a_central_function_does_not_keep_its_subtasks_waiting_nor_these_theirs():
    doors = Doors(1)
    doors.run(1, TASK)
    doors.run(2, SUBTASK)
    doors.run(3, DEEPER)
    doors.run(4, DEEPER)
    assert not doors.places.ask(5, SUBTASK)
    assert not doors.places.ask(6, TASK)


def test_a_job_of_a_run_that_is_not_known_yet_counts_for_all():
    doors = Doors(1)
    doors.places.seen(1, None, PENDING)
    assert not doors.places.ask(2, TASK)
    assert not doors.places.ask(3, SUBTASK)
    doors.places.seen(1, SUBTASK, PENDING)
    assert doors.called == [2]


def test_a_stuck_job_lets_others_go_first_but_not_all_of_them():
    doors = Doors(2)
    doors.run(1)
    doors.run(2)
    for run_id in range(3, 8):
        doors.places.ask(run_id, TASK)
    doors.places.seen(1, TASK, PENDING, aside=True)
    doors.places.seen(2, TASK, PENDING, aside=True)
    assert doors.called == [3, 4]
    doors.run(3)
    doors.run(4)
    doors.places.seen(3, TASK, PENDING, aside=True)
    doors.places.seen(4, TASK, PENDING, aside=True)
    assert not doors.places.ask(5, TASK), "twice as many Jobs as places are the most"
    doors.places.seen(1, TASK, RUNNING)
    doors.places.seen(2, TASK, FINISHED)
    assert doors.places.ask(5, TASK), "one runs, two stand aside"


def test_with_no_limit_only_so_many_start_at_once():
    doors = Doors(None, starts=2)
    assert [doors.places.ask(run_id, TASK) for run_id in range(4)] == [True, True, False, False]
    assert doors.places.before(2) is None, "which is a matter of moments, not worth a word"
    doors.places.started(0)
    assert doors.called == [2]


@pytest.mark.parametrize(
    ("limit", "before", "kind", "words"),
    [
        (1, 0, TASK, "at most 1 run at a time (jobs.maxConcurrent), and this one is the next."),
        (3, 1, TASK, "at most 3 runs at a time (jobs.maxConcurrent), and 1 is before this one."),
        (3, 9, SUBTASK, "at most 3 runs of a subtask at a time (jobs.maxConcurrent), and 9 are before this one."),
        (3, 10, TASK, "and at least 10 are before this one."),
        (3, 4711, TASK, "and at least 4000 are before this one."),
    ],
)
def test_who_waits_is_told_what_for_and_how_many_are_before(limit, before, kind, words):
    why = in_line(limit, before, kind)
    assert words in why.sentence
    assert why.patience is Patience.ENDLESS


@given(st.integers(1, 50), st.integers(0, 100), st.integers(0, 100))
def test_room_is_for_no_more_than_there_are_places(limit, holding, aside):
    free = room(limit, holding, aside)
    assert 0 <= free <= limit
    assert not free or (holding + free <= limit and holding + aside + free <= 2 * limit)
    assert free or holding >= limit or holding + aside >= 2 * limit


RUNS = st.integers(1, 8)
STATES = st.sampled_from([NONE, PENDING, RUNNING, FINISHED, JobState.DELETING])
HAPPENS = st.one_of(
    st.tuples(st.just("ask"), RUNS),
    st.tuples(st.just("seen"), RUNS, STATES, st.booleans()),
    st.tuples(st.just("leave"), RUNS),
    st.tuples(st.just("started"), RUNS),
    st.tuples(st.just("give back"), RUNS),
)
KINDS = {run_id: [TASK, TASK, SUBTASK][run_id % 3] for run_id in range(1, 9)}


@given(st.sampled_from([None, 1, 2, 3]), st.integers(1, 3), st.lists(HAPPENS, max_size=60))
def test_whatever_happens_who_may_start_was_called_and_nobody_else_starts(limit, starts, story):
    called = set()
    places = Places(limit, called.add, starts)
    given_, starting, jobs, waiting = set(), set(), {}, set()

    def free(kind):
        if limit is None:
            return starts
        mine = {run_id: aside for run_id, aside in jobs.items() if KINDS[run_id] is kind}
        mine |= {run_id: False for run_id in given_ if KINDS[run_id] is kind}
        return room(limit, sum(not aside for aside in mine.values()), sum(mine.values()))

    def entitled():
        lines = {kind: sorted(run_id for run_id in waiting if KINDS[run_id] is kind) for kind in Kind}
        heads = sorted(run_id for kind, line in lines.items() for run_id in line[: free(kind)])
        return set(heads[: max(starts - len(starting), 0)])

    for what, run_id, *more in story:
        match what:
            case "ask":
                waiting.add(run_id)
                called.discard(run_id)
                expected = run_id in given_ or run_id in entitled()
                assert places.ask(run_id, KINDS[run_id]) == expected
                if expected and run_id not in given_:
                    given_.add(run_id)
                    jobs.pop(run_id, None)
                    starting.add(run_id)
                if expected:
                    waiting.discard(run_id)
            case "seen":
                state, aside = more
                places.seen(run_id, KINDS[run_id], state, aside=aside)
                if state is not NONE or run_id not in given_:
                    given_.discard(run_id)
                    jobs.pop(run_id, None)
                    if state in {PENDING, RUNNING}:
                        jobs[run_id] = aside and state is PENDING
            case "leave":
                places.leave(run_id)
                waiting.discard(run_id)
                called.discard(run_id)
            case "started":
                places.started(run_id)
                starting.discard(run_id)
            case "give back":
                places.give_back(run_id)
                given_.discard(run_id)
                jobs.pop(run_id, None)
        assert entitled() <= called, "somebody may start and does not know"
