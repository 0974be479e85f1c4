"""What many samples come to: pure functions."""

import math
from collections.abc import Iterable


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
    between = ordered[low] + (ordered[high] - ordered[low]) * (place - low)
    return min(max(between, ordered[low]), ordered[high])  # rounding may go beyond by a bit


def median(samples: Iterable[float]) -> float:
    """The middle sample."""
    return percentile(samples, 50)
