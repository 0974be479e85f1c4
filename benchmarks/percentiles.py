"""What many samples come to: pure functions."""

import math
from collections.abc import Iterable, Sequence


def percentile(samples: Iterable[float], percent: float) -> float:
    """The value below which so many percent of the samples are, between two of them by a straight line.

    Args:
        samples: at least one, in any order.
        percent: 0 is the least, 50 the median, 100 the greatest.

    Raises:
        ValueError: there are no samples, or the percentage is none.
    """
    ordered = sorted(samples)
    if not ordered:
        raise ValueError("There are no samples.")
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} is no percentage: choose one from 0 to 100.")
    place = (len(ordered) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    # Written so that between equal samples nothing is rounded away from them.
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(samples: Iterable[float]) -> float:
    """The middle sample."""
    return percentile(samples, 50)


def pairwise_ratios(measured: Sequence[float], limits: Sequence[float]) -> list[float]:
    """Each measured value against the limit of its own round.

    Raises:
        ValueError: there are not as many of one as of the other, or a limit is not positive.
    """
    if any(limit <= 0 for limit in limits):
        raise ValueError(f"A limit is not positive: {min(limits)}.")
    return [value / limit for value, limit in zip(measured, limits, strict=True)]
