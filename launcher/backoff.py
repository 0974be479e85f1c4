"""How long to wait before something that failed is tried again."""


def backoff(failures: int, first: float = 1.0, longest: float = 30.0) -> float:
    """Seconds to wait after so many failures in a row: the first, then twice as long each time, up to the longest."""
    return min(first * 2.0 ** min(max(failures - 1, 0), 20), longest)


class Backoff:
    """Counts one thing's failures in a row, and says how long to wait.

    Args:
        first: seconds after the first failure; each time twice as many.
        longest: most seconds.
    """

    def __init__(self, first: float = 1.0, longest: float = 30.0) -> None:
        self._first = first
        self._longest = longest
        self.failures = 0

    @property
    def seconds(self) -> float:
        """How long to wait now."""
        return backoff(self.failures, self._first, self._longest)

    def failed(self, error: Exception | None = None) -> float:
        """Count a failure; returns for how many seconds to wait, which are no fewer than who refused asks for."""
        self.failures += 1
        return max(self.seconds, getattr(error, "retry_after", 0.0))

    def succeeded(self) -> None:
        """Begin anew."""
        self.failures = 0
