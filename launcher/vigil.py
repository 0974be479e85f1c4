"""How long a run has been waiting for what, when the researcher is told, and when it has waited long enough.

A run that waits in the cluster holds one of the node's places (`jobs.maxConcurrent`) for as long as it is silent: when
the researcher is told, others may go first.
"""

from dataclasses import dataclass, replace

from launcher.runs import Outcome
from launcher.waiting import Patience, Waiting

_TELL_AFTER, _TELL_AGAIN_AFTER = 30.0, 30.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a look at a run that waits."""

    tell: str = ""
    """A sentence for the researcher, if it is time for one."""
    end: Outcome | None = None
    """How the run ends, if it has waited long enough."""
    look_again: float | None = None
    """Seconds until time alone changes something; None: it does not."""
    yields: bool = False
    """Whether it has waited long enough, for room or repair, to let others go first."""


class Vigil:
    """One run's waiting; told the time, it has no clock.

    Args:
        room: seconds for which a shortage is put up with.
        repair: seconds for which everything else is that time does not heal.
    """

    def __init__(self, room: float, repair: float) -> None:
        self._limits = {
            Patience.NONE: 0.0,
            Patience.SHORT: repair,
            Patience.LONG: room,
            Patience.ENDLESS: float("inf"),
        }
        self._begun: float | None = None
        self._kind: Patience | None = None
        self._since = 0.0
        self._told, self._told_at = "", float("-inf")

    def look(self, waiting: Waiting | None, now: float) -> Verdict:
        """Take a look.

        Args:
            waiting: why the run waits; None if that is not known.
            now: seconds, of a clock that never goes back.
        """
        if self._begun is None:
            self._begun = now
        if waiting is None:
            self._kind = None
            return Verdict()
        if waiting.patience is not self._kind:
            # Anew for each kind: what waited long for room must not fail at once over a passing word of another kind.
            self._kind, self._since = waiting.patience, now
        limit = self._limits[waiting.patience]
        ends = self._since + limit
        if now >= ends:
            return Verdict(end=_after(waiting, limit))
        yields = limit < float("inf") and now >= self._begun + _TELL_AFTER
        speaks = max(self._begun + _TELL_AFTER, self._told_at + _TELL_AGAIN_AFTER)
        if waiting.sentence == self._told:
            return Verdict(look_again=_until(now, ends), yields=yields)
        if now < speaks:
            return Verdict(look_again=_until(now, min(speaks, ends)), yields=yields)
        # Should it not reach the researcher, it is tried again.
        again = _until(now, min(now + _TELL_AGAIN_AFTER, ends))
        return Verdict(tell=_so_far(waiting, ends - now), look_again=again, yields=yields)

    def told(self, waiting: Waiting, now: float) -> None:
        """Take note that the researcher was told."""
        self._told, self._told_at = waiting.sentence, now


def _until(now: float, then: float) -> float | None:
    return None if then == float("inf") else then - now


def _so_far(waiting: Waiting, left: float) -> str:
    gives_up = "" if left == float("inf") else f" The node waits for at most another {_duration(left)}."
    return f"The run waits. {waiting.sentence}{gives_up}"


def _after(waiting: Waiting, limit: float) -> Outcome:
    end = waiting.as_outcome
    return end if not limit else replace(end, sentence=f"{end.sentence} The node waited {_duration(limit)}.")


def _duration(seconds: float) -> str:
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
