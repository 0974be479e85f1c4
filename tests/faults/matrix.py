"""Every fault at every step of a run where it can strike, and which one stands for each step."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from tests.faults.direction import Strike
from tests.faults.image.faulty.steps import STEPS, Step
from tests.faults.site import FaultySite, Wanted

AWAY = 1.5
"""Seconds that an outage lasts: longer than a call, shorter than the launcher's patience."""
RUNS_FOR = 2.0
RUNS_ON = 20.0
"""Seconds of a run that has to be running still when the launcher, which another case's fault took away, is back."""
LASTS = 900.0
_WHILE_IT_RUNS = {"log followed", "log read", "active reported", "log shown"}


class Fault(Enum):
    """What can happen at a step."""

    KILLED_BEFORE = "killed before it"
    KILLED_AFTER = "killed after it"
    KILLED_WITHIN = "killed in the middle of it"
    VOLUME_FULL = "the volume is full at it"
    SERVER_AWAY = "no server at it"
    SERVER_SILENT = "the server's answers are lost at it"
    API_AWAY = "no API server at it"
    API_SILENT = "the API server's answers are lost at it"
    WATCHES_CUT = "all watches break at it"
    PODS_LATE = "what becomes of pods is heard late at it"
    WATCHES_EXPIRED = "all watches hear 410 Gone at it"


_WITHIN = {Fault.KILLED_WITHIN, Fault.VOLUME_FULL}
_KILLING = {Fault.KILLED_BEFORE, Fault.KILLED_AFTER, Fault.KILLED_WITHIN}


@dataclass(frozen=True)
class Case:
    """A fault at a step."""

    step: Step
    fault: Fault
    nth: int = 1
    """At which change of the volume, where it happens in the middle."""

    def __str__(self) -> str:
        return f"{self.step}: {self.fault.value}" + (f", change {self.nth}" if self.nth > 1 else "")

    @property
    def wanted(self) -> Wanted:
        """The run that gets to the step."""
        if self.step.name == "kill noted":
            return Wanted(LASTS, killed=True)
        if self.step.name == "databases' hosts compared":
            return Wanted(RUNS_FOR, failure="the patients are too few")
        return Wanted(RUNS_ON if self.step.name in _WHILE_IT_RUNS else RUNS_FOR)

    @property
    def kills(self) -> bool:
        """Whether the launcher is killed in it."""
        return self.fault in _KILLING or _COMES_FROM.get(self.step.name, ("", ""))[1] == "die"

    def strikes(self, site: FaultySite) -> list[Strike]:
        """What happens to the run: the fault, after what it takes for the run to get to the step."""
        return [*_on_the_way(self.step), Strike(self.step.name, _when(self.fault), _act(self.fault, site), self.nth)]


# Where the launcher comes to only when it was killed before, or hears of pods later than of Jobs.
_COMES_FROM = {
    "Job looked for": ("files written", "die"),
    "server asked": ("Job created", "die"),
    "pod looked for": ("active reported", "deaf"),
}


def _on_the_way(step: Step) -> Iterator[Strike]:
    if step.name in _COMES_FROM:
        before, order = _COMES_FROM[step.name]
        yield Strike(before, "after", lambda: order)


def _when(fault: Fault) -> str:
    return {Fault.KILLED_AFTER: "after"}.get(fault, "within" if fault in _WITHIN else "before")


def _act(fault: Fault, site: FaultySite) -> Callable[[], str]:
    def act() -> str:
        match fault:
            case Fault.SERVER_AWAY:
                site.server_way.away(AWAY)
            case Fault.SERVER_SILENT:
                site.server_way.silent(AWAY)
            case Fault.API_AWAY:
                site.api_way.away(AWAY)
            case Fault.API_SILENT:
                site.api_way.silent(AWAY)
            case Fault.WATCHES_CUT:
                site.api_way.away(0)
            case Fault.VOLUME_FULL:
                return "fail"
            case Fault.PODS_LATE:
                return "deaf"
            case Fault.WATCHES_EXPIRED:
                return "expire"
            case _:
                return "die"
        return "go"

    return act


def can_strike(step: Step, fault: Fault) -> bool:
    """Whether there is such a thing: only what changes the volume bit by bit has a middle."""
    return fault not in _WITHIN or step.volume


EVERY = [Case(step, fault) for fault in Fault for step in STEPS if can_strike(step, fault)]

# The cheapest that may do harm there. What changes something is most in danger just after it.
_STANDS_FOR = {
    "Job looked for": Fault.KILLED_AFTER,
    "taken": Fault.SERVER_SILENT,
    "approved": Fault.WATCHES_EXPIRED,
    "token given": Fault.SERVER_AWAY,
    "manifest made": Fault.API_AWAY,
    "files written": Fault.KILLED_WITHIN,
    "Job created": Fault.API_SILENT,
    "Job noted": Fault.VOLUME_FULL,
    "log followed": Fault.WATCHES_CUT,
    "log read": Fault.API_AWAY,
    "active reported": Fault.SERVER_SILENT,
    "log shown": Fault.SERVER_AWAY,
    "pod looked for": Fault.API_SILENT,
    "log collected": Fault.PODS_LATE,
    "result read": Fault.KILLED_AFTER,
    "databases' hosts compared": Fault.WATCHES_CUT,
    "kill noted": Fault.KILLED_AFTER,
    "delivered": Fault.KILLED_AFTER,
    "audit written": Fault.KILLED_AFTER,
    "audit noted": Fault.VOLUME_FULL,
    "server asked": Fault.SERVER_SILENT,
    "Job deleted": Fault.API_SILENT,
    "files removed": Fault.KILLED_WITHIN,
}

_IN_THE_MIDDLE = 5
_MANY_CHANGES = {"files written", "files removed"}

ONE_FOR_EACH = [
    Case(step, _STANDS_FOR[step.name], _IN_THE_MIDDLE if step.name in _MANY_CHANGES else 1) for step in STEPS
]
