"""The waits between attempts."""

from hypothesis import given
from hypothesis import strategies as st

from launcher.backoff import backoff


def test_it_doubles_up_to_the_longest() -> None:
    assert [backoff(failures) for failures in range(8)] == [1, 1, 2, 4, 8, 16, 30, 30]
    assert [backoff(failures, 0.5, 60) for failures in (1, 2, 8)] == [0.5, 1, 60]


@given(st.integers(0, 10**9))
def test_however_often_it_failed(failures: int) -> None:
    assert backoff(failures) <= backoff(failures + 1) <= 30
