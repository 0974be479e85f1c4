"""The waits between attempts."""

from hypothesis import given
from hypothesis import strategies as st

from launcher.backoff import Backoff, backoff
from launcher.kubeapi import ClusterUnavailable


def test_it_doubles_up_to_the_longest() -> None:
    assert [backoff(failures) for failures in range(8)] == [1, 1, 2, 4, 8, 16, 30, 30]
    assert [backoff(failures, 0.5, 60) for failures in (1, 2, 8)] == [0.5, 1, 60]


@given(st.integers(0, 10**9))
def test_however_often_it_failed(failures: int) -> None:
    assert backoff(failures) <= backoff(failures + 1) <= 30


def test_it_is_counted_and_who_asks_for_longer_is_left_alone_for_longer() -> None:
    retry = Backoff(0.5, 60)
    assert [retry.failed() for _ in range(3)] == [0.5, 1, 2]
    assert retry.failed(ClusterUnavailable("busy", 9.0)) == 9
    assert retry.failed(ClusterUnavailable("busy", 1.0)) == 8
    retry.succeeded()
    assert (retry.failures, retry.failed()) == (0, 0.5)
