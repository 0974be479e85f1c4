"""The arithmetic of the federated average, free of anything that has to do with vantage6."""

import math
from collections.abc import Iterable, Sequence
from typing import TypedDict


class Part(TypedDict):
    """What one organization gives away: no single value, unless it has only one."""

    sum: float
    count: int


class Average(TypedDict):
    """The result: over `count` values of `parts` organizations."""

    average: float
    count: int
    parts: int


def summarize(values: Iterable[float]) -> Part:
    """Sum and count values, ignoring those that are NaN. The sum is correctly rounded, whatever the order."""
    present = [float(value) for value in values if not math.isnan(value)]
    return {"sum": math.fsum(present), "count": len(present)}


def combine(parts: Sequence[Part | None]) -> Average:
    """Make the average of all organizations' values out of their sums and counts.

    Raises:
        ValueError: an organization delivered nothing, or there is no value at all.
    """
    delivered = [part for part in parts if part is not None]
    if len(delivered) < len(parts):
        missing = len(parts) - len(delivered)
        raise ValueError(f"{missing} of {len(parts)} organizations delivered no result: see the logs of their runs.")
    count = sum(part["count"] for part in delivered)
    if count == 0:
        raise ValueError(f"None of {len(parts)} organizations has a value: there is no average.")
    return {"average": math.fsum(part["sum"] for part in delivered) / count, "count": count, "parts": len(parts)}
