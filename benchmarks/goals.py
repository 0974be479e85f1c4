"""The goals, and what a measurement says of one: pure functions."""

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Against(Enum):
    """How a measured value is held against its limit."""

    DIFFERENCE = "measured − limit"
    RATIO = "measured ÷ limit"
    ALONE = "measured"


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be reached.

    Attributes:
        what: is measured.
        limit: what it is held against; where it counts for nothing, what it may be compared with.
        bound: of the value.
        unit: of what is measured.
        at_least: whether more is better.
    """

    what: str
    limit: str
    bound: float
    unit: str
    against: Against
    at_least: bool = False

    @property
    def sentence(self) -> str:
        """The goal as the table has it."""
        unit = "×" if self.against is Against.RATIO else self.unit
        return f"{'≥' if self.at_least else '≤'} {quantity(self.bound, unit)}"


GOALS = {
    "event to Job, p50": Goal(
        "a task's event → its Job created, median",
        "the same server calls replayed",
        20,
        "ms",
        Against.DIFFERENCE,
    ),
    "event to Job, p99": Goal(
        "the same, 99th percentile", "the same server calls replayed", 80, "ms", Against.DIFFERENCE
    ),
    "finished to answer, p50": Goal(
        "an algorithm seen to have finished → the server has its result, median",
        "the server's own time",
        50,
        "ms",
        Against.DIFFERENCE,
    ),
    "finished to answer, p99": Goal(
        "the same, 99th percentile", "the server's own time", 200, "ms", Against.DIFFERENCE
    ),
    "makespan": Goal(
        "200 short runs sent at once, all reported",
        "the same Jobs applied, the same server calls replayed",
        1.15,
        "s",
        Against.RATIO,
    ),
    "makespan, simulated": Goal(
        "the same with a simulated kubelet",
        "the same Jobs applied, the same server calls replayed",
        1.05,
        "s",
        Against.RATIO,
    ),
    "same instant": Goal(
        "50 runs that end at one instant, all reported",
        "the same reports sent as soon as each run was seen to end",
        1.5,
        "s",
        Against.RATIO,
    ),
    "neighbours": Goal(
        "20 runs beside one that can't be scheduled, one whose image is missing, one that never ends",
        "20 runs alone",
        1.1,
        "s",
        Against.RATIO,
    ),
    "API requests": Goal(
        "requests to the Kubernetes API for each run, beside watches and logs",
        "creating and deleting a Job",
        4,
        "requests",
        Against.ALONE,
    ),
    "open runs, memory": Goal(
        "10,000 open runs (simulated kubelet): the launcher's memory", "with none", 250, "MiB", Against.ALONE
    ),
    "open runs, API": Goal(
        "10,000 open runs, nothing happens: requests to the Kubernetes API", "with none", 0.1, "a second", Against.ALONE
    ),
    "open runs, server": Goal(
        "10,000 open runs, nothing happens: calls to the server", "with none", 0.1, "a second", Against.ALONE
    ),
    "kill": Goal(
        "kill order → pod gone and server told, beyond the grace period",
        "the same Job and pod deleted",
        1,
        "s",
        Against.ALONE,
    ),
    "install": Goal(
        "helm install → online, images present, isolation checked",
        "the same image started and one Job run",
        25,
        "s",
        Against.ALONE,
    ),
    "gate": Goal("the check of the isolation, median", "one Job run", 12, "s", Against.ALONE),
    "proxy, latency": Goal("a call through the proxy, median", "the same call, direct", 3, "ms", Against.DIFFERENCE),
    "proxy, throughput": Goal(
        "64 MiB through the proxy, a result or a new task",
        "the same, direct",
        0.8,
        "MiB/s",
        Against.RATIO,
        at_least=True,
    ),
    "proxy, blobs": Goal(
        "the same as blobs, which the proxy translates",
        "the same, direct, translated by the client",
        0.8,
        "MiB/s",
        Against.RATIO,
        at_least=True,
    ),
    "proxy, memory": Goal("a stream of 1 GiB: the proxy's memory grows by", "nothing", 64, "MiB", Against.ALONE),
}
"""By key, in the order of the table."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured for a goal.

    Attributes:
        goal: key of the goal.
        measured: in the goal's unit.
        limit: likewise; None where nothing is comparable.
    """

    goal: str
    measured: float
    limit: float | None

    @property
    def value(self) -> float:
        """What is held against the goal's bound.

        Raises:
            ValueError: the goal compares, and there is nothing to compare with.
        """
        against = GOALS[self.goal].against
        if against is Against.ALONE:
            return self.measured
        if self.limit is None or (against is Against.RATIO and self.limit <= 0):
            raise ValueError(f"{self.goal} needs a positive limit, and has {self.limit}.")
        return self.measured - self.limit if against is Against.DIFFERENCE else self.measured / self.limit

    @property
    def reached(self) -> bool:
        """Whether the goal is reached."""
        goal = GOALS[self.goal]
        return self.value >= goal.bound if goal.at_least else self.value <= goal.bound

    @property
    def used(self) -> float:
        """How much of what the goal allows is used up: 1 is all of it, less is better; never below 0."""
        goal = GOALS[self.goal]
        if goal.at_least:
            return goal.bound / self.value if self.value > 0 else float("inf")
        return max(self.value / goal.bound, 0.0)


def told(found: Measurement) -> str:
    """What is held against the goal's bound, with its unit."""
    goal = GOALS[found.goal]
    unit = "×" if goal.against is Against.RATIO else goal.unit
    return quantity(found.value, unit, sign=goal.against is Against.DIFFERENCE)


HEADER = ("what", "goal", "measured", "limit of the same run", "against it", "reached")


def rows(measurements: list[Measurement]) -> list[tuple[str, ...]]:
    """The table: a row for each goal, measured or not."""
    by_goal = {each.goal: each for each in measurements}
    return [_row(goal, by_goal.get(key)) for key, goal in GOALS.items()]


def _row(goal: Goal, found: Measurement | None) -> tuple[str, ...]:
    if found is None:
        return (goal.what, goal.sentence, "not measured", goal.limit, "", "")
    limit = goal.limit if found.limit is None else f"{quantity(found.limit, goal.unit)} ({goal.limit})"
    against = "" if goal.against is Against.ALONE else told(found)
    measured = quantity(found.measured, goal.unit)
    return (goal.what, goal.sentence, measured, limit, against, "yes" if found.reached else "**no**")


def markdown(table: list[tuple[str, ...]]) -> str:
    """The table in Markdown."""
    lines = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in table])


def quantity(value: float, unit: str, *, sign: bool = False) -> str:
    """A value with its unit, as exact as it is of use."""
    places = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:{'+' if sign else ''}.{places}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {unit}".replace("-", "−").replace(" ×", "×")


def measurement(told: dict[str, Any]) -> Measurement:
    """A measurement as a results file has it."""
    return Measurement(told["goal"], float(told["measured"]), told["limit"])
