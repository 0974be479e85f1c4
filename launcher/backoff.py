"""How long to wait before something that failed is tried again."""


def backoff(failures: int, first: float = 1.0, longest: float = 30.0) -> float:
    """Seconds to wait after so many failures in a row: the first, then twice as long each time, up to the longest."""
    return min(first * 2.0 ** min(max(failures - 1, 0), 20), longest)
