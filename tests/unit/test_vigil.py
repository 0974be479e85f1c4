"""When a waiting run is told of, and when it ends: pure, with a made-up clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.runs import Cause, RunStatus
from launcher.vigil import Vigil
from launcher.waiting import Patience, Waiting

ROOM, REPAIR = 1000.0, 100.0
LIMITS = {Patience.NONE: 0.0, Patience.SHORT: REPAIR, Patience.LONG: ROOM, Patience.ENDLESS: float("inf")}


def because(patience, sentence="Why."):
    return Waiting(patience, RunStatus.START_FAILED, sentence, "", Cause.ROOM)


def a_vigil():
    return Vigil(ROOM, REPAIR)


@pytest.mark.parametrize("patience", [Patience.SHORT, Patience.LONG])
def test_a_run_ends_when_patience_does_and_not_before(patience):
    vigil, limit = a_vigil(), LIMITS[patience]
    assert vigil.look(because(patience), 5).end is None
    assert vigil.look(because(patience), 5 + limit - 0.1).end is None
    end = vigil.look(because(patience), 5 + limit).end
    assert end.status is RunStatus.START_FAILED
    assert end.sentence.startswith("Why. The node waited ")


def test_what_is_not_worth_waiting_for_ends_at_once_and_says_no_more_than_why():
    assert a_vigil().look(because(Patience.NONE), 5).end.sentence == "Why."


def test_what_may_take_any_time_never_ends():
    vigil = a_vigil()
    vigil.look(because(Patience.ENDLESS), 0)
    verdict = vigil.look(because(Patience.ENDLESS), 10**9)
    assert verdict.end is None
    assert verdict.tell == "The run waits. Why."
    vigil.told(because(Patience.ENDLESS), 10**9)
    assert vigil.look(because(Patience.ENDLESS), 10**9).look_again is None


def test_the_researcher_is_told_after_half_a_minute_once_for_each_reason():
    vigil, why = a_vigil(), because(Patience.LONG)
    first = vigil.look(why, 0)
    assert (first.tell, first.look_again) == ("", 30)
    assert vigil.look(why, 29).tell == ""
    assert vigil.look(why, 30).tell == "The run waits. Why. The node waits for at most another 16 minutes."
    assert vigil.look(why, 31).tell, "it could not be told: try again"
    vigil.told(why, 31)
    assert vigil.look(why, 500).tell == ""
    other = because(Patience.LONG, "Another.")
    assert "Another." in vigil.look(other, 501).tell


def test_reasons_that_change_quickly_are_told_of_twice_a_minute():
    vigil = a_vigil()
    vigil.look(because(Patience.LONG, "0"), 0)
    told = 0
    for second in range(30, 151):
        why = because(Patience.LONG, str(second))
        if vigil.look(why, second).tell:
            vigil.told(why, second)
            told += 1
    assert told == 5


def test_a_passing_word_of_another_kind_does_not_end_what_waited_long_for_room():
    vigil = a_vigil()
    vigil.look(because(Patience.LONG), 0)
    assert vigil.look(because(Patience.SHORT), 900).end is None
    assert vigil.look(because(Patience.SHORT), 900 + REPAIR).end


@given(st.lists(st.tuples(st.sampled_from([*Patience, None]), st.floats(0, 50)), max_size=40))
def test_it_is_always_said_when_to_look_again_and_nothing_ends_early(looks):
    vigil, now, kind, since = a_vigil(), 0.0, None, 0.0
    for patience, later in looks:
        now += later
        if patience is not kind:
            kind, since = patience, now
        why = because(patience) if patience else None
        verdict = vigil.look(why, now)
        if why is None:
            assert verdict.end is None and verdict.tell == ""
            continue
        assert (verdict.end is not None) == (now >= since + LIMITS[patience])
        if verdict.end is None and patience is not Patience.ENDLESS:
            assert 0 < verdict.look_again <= since + LIMITS[patience] - now
        if verdict.tell:
            vigil.told(why, now)
