"""What a measurement says of a goal, and the table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.goals import GOALS, HEADER, Against, Measurement, markdown, quantity, rows, told

POSITIVE = st.floats(0.01, 1e6)
MEASUREMENTS = st.builds(Measurement, st.sampled_from(list(GOALS)), POSITIVE, POSITIVE)


def test_a_difference_is_what_is_beyond_the_limit() -> None:
    found = Measurement("event to Job, p50", 63.0, 50.0)
    assert (found.value, found.reached, found.used) == (13.0, True, 13 / 20)
    assert not Measurement("event to Job, p50", 71.0, 50.0).reached


def test_faster_than_the_limit_uses_nothing_up() -> None:
    found = Measurement("event to Job, p50", 40.0, 50.0)
    assert (found.reached, found.used, told(found)) == (True, 0.0, "−10 ms")


def test_a_ratio() -> None:
    assert Measurement("makespan", 115.0, 100.0).reached
    assert not Measurement("makespan", 116.0, 100.0).reached
    assert told(Measurement("makespan", 116.0, 100.0)) == "1.16×"


def test_where_more_is_better_more_is_reached() -> None:
    assert Measurement("proxy, throughput", 90.0, 100.0).reached
    found = Measurement("proxy, throughput", 40.0, 100.0)
    assert (found.reached, found.used) == (False, 2.0)


def test_what_stands_alone_needs_no_limit() -> None:
    assert Measurement("API requests", 3.5, None).value == 3.5


@pytest.mark.parametrize("limit", [None, 0.0])
def test_a_ratio_to_nothing_is_refused(limit: float | None) -> None:
    with pytest.raises(ValueError, match="makespan needs a positive limit"):
        _ = Measurement("makespan", 1.0, limit).value


@given(MEASUREMENTS)
def test_a_goal_is_reached_as_long_as_no_more_than_all_of_it_is_used_up(found: Measurement) -> None:
    assert found.used >= 0
    if abs(found.used - 1) > 1e-9:
        assert found.reached == (found.used < 1)


@given(st.lists(MEASUREMENTS, max_size=5))
def test_the_table_has_every_goal_once_and_says_what_was_not_measured(measurements: list[Measurement]) -> None:
    table = rows(measurements)
    assert [row[0] for row in table] == [goal.what for goal in GOALS.values()]
    assert all(len(row) == len(HEADER) for row in table)
    measured = {each.goal for each in measurements}
    assert [row[2] != "not measured" for row in table] == [key in measured for key in GOALS]
    assert [bool(row[-1]) for row in table] == [key in measured for key in GOALS]
    assert len(markdown(table).splitlines()) == len(GOALS) + 2


def test_a_row() -> None:
    row = next(row for row in rows([Measurement("proxy, latency", 4.5, 3.0)]) if row[0].startswith("a call through"))
    assert row[1:] == ("≤ 3 ms", "4.5 ms", "3 ms (the same call, direct)", "+1.5 ms", "yes")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "s", "0 s"),
        (1.156, "×", "1.16×"),
        (12.345, "ms", "12.3 ms"),
        (1234.5, "MiB", "1234 MiB"),
        (-0.5, "s", "−0.5 s"),
    ],
)
def test_a_quantity_is_as_exact_as_it_is_of_use(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_the_goals_are_those_of_the_design() -> None:
    """Whoever changes a goal has to say so twice."""
    bounds = {key: (goal.sentence, goal.against) for key, goal in GOALS.items()}
    assert bounds["event to Job, p50"] == ("≤ 20 ms", Against.DIFFERENCE)
    assert bounds["event to Job, p99"] == ("≤ 80 ms", Against.DIFFERENCE)
    assert bounds["finished to answer, p50"] == ("≤ 50 ms", Against.DIFFERENCE)
    assert bounds["finished to answer, p99"] == ("≤ 200 ms", Against.DIFFERENCE)
    assert bounds["makespan"] == ("≤ 1.15×", Against.RATIO)
    assert bounds["makespan, simulated"] == ("≤ 1.05×", Against.RATIO)
    assert bounds["API requests"] == ("≤ 4 requests", Against.ALONE)
    assert bounds["open runs, memory"] == ("≤ 250 MiB", Against.ALONE)
    assert bounds["install"] == ("≤ 25 s", Against.ALONE)
    assert bounds["gate"] == ("≤ 12 s", Against.ALONE)
    assert bounds["proxy, latency"] == ("≤ 3 ms", Against.DIFFERENCE)
    assert bounds["proxy, throughput"] == ("≥ 0.8×", Against.RATIO)
    assert bounds["proxy, memory"] == ("≤ 64 MiB", Against.ALONE)
    assert bounds["kill"] == ("≤ 1 s", Against.ALONE)
    assert bounds["same instant"] == ("≤ 1.5×", Against.RATIO)
