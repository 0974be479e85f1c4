"""Waiting, but not for ever."""

import time
from collections.abc import Callable

from tests.stage import StageError


def wait_until(condition: Callable[[], bool], seconds: float, describe: Callable[[], str], every: float = 0.3) -> None:
    """Ask until the condition holds.

    Raises:
        StageError: it did not within `seconds`; `describe()` says what was the case instead.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise StageError(f"After {seconds:.0f} s: {describe()}.")
        time.sleep(every)
