"""What many samples come to."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.percentiles import median, percentile

SAMPLES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50)


@given(SAMPLES, st.floats(0, 100))
def test_a_percentile_is_between_the_least_and_the_greatest(samples: list[float], percent: float) -> None:
    assert min(samples) <= percentile(samples, percent) <= max(samples)


@given(SAMPLES, st.floats(0, 100), st.floats(0, 100))
def test_a_higher_percentile_is_not_less(samples: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert percentile(samples, low) <= percentile(samples, high) + 1e-9


@given(SAMPLES)
def test_the_ends_and_the_middle(samples: list[float]) -> None:
    assert (percentile(samples, 0), percentile(samples, 100)) == (min(samples), max(samples))
    assert median(samples) == pytest.approx(statistics.median(samples))


@given(SAMPLES)
def test_the_order_of_the_samples_does_not_matter(samples: list[float]) -> None:
    assert percentile(samples, 99) == percentile(samples[::-1], 99)


def test_between_two_samples_it_is_on_the_line_between_them() -> None:
    assert percentile([1, 2, 3, 4, 5], 90) == pytest.approx(4.6)
    assert percentile(range(101), 99) == 99


def test_of_nothing_there_is_none() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)
    with pytest.raises(ValueError, match="101 is no percentage"):
        percentile([1], 101)
