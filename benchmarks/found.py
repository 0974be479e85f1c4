"""What a benchmark brings back."""

from dataclasses import dataclass, field

from benchmarks.goals import Measurement


@dataclass
class Found:
    """Measurements, the samples that they were made of, and where a run's time went.

    Attributes:
        samples: by a name that says what they are and their unit.
        stages: for each run, when each stage ended, in seconds after the event.
        curve: what grows with the number of open runs, by a name that says what it is and its unit.
    """

    measurements: list[Measurement] = field(default_factory=list)
    samples: dict[str, list[float]] = field(default_factory=dict)
    stages: list[dict[str, float]] = field(default_factory=list)
    curve: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: rounds of each kind; fewer are quicker, and their figures worth less."""

    runs: int
    rounds: int
    crowd: int
    at_once: int
    open_runs: tuple[int, ...]
    idle_seconds: int

    @property
    def calls(self) -> int:
        """How many calls of a kind, where a call takes milliseconds."""
        return self.runs * 2


FULL = Effort(runs=100, rounds=3, crowd=200, at_once=50, open_runs=(100, 1000, 10_000), idle_seconds=60)
QUICK = Effort(runs=10, rounds=1, crowd=20, at_once=10, open_runs=(10, 100), idle_seconds=20)
