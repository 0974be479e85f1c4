"""Waiting, but not for ever."""

import time
from collections.abc import Callable

from tests.stage import StageError

_SELDOMER, _LONGEST = 1.1, 1.0


def wait_until(condition: Callable[[], bool], seconds: float, describe: Callable[[], str], every: float = 0.3) -> None:
    """Ask until the condition holds: at first `every` so many seconds, the longer it takes the more seldom.

    Asking is a process of kubectl most of the time, and several tests that wait would keep a small machine busy.

    Raises:
        StageError: it did not within `seconds`; `describe()` says what was the case instead.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise StageError(f"After {seconds:.0f} s: {describe()}.")
        time.sleep(every)
        every = max(every, min(every * _SELDOMER, _LONGEST))
