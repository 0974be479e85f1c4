"""What happens in one batch of a soak, all of it following from a seed: which runs there are, and what befalls whom."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.matrix import EVERY, LASTS, Case
from tests.faults.site import Wanted

_BEFALLEN = 0.3
"""Part of the runs that something happens to at a step of their own, besides what happens to everybody."""


@dataclass(frozen=True)
class Cast:
    """A run, and the fault that is its own, if any."""

    wanted: Wanted
    case: Case | None


@dataclass(frozen=True)
class Event:
    """Something that happens to everybody."""

    after: float  # seconds since the last
    what: str
    seconds: float = 0


KILLED, PROXY_KILLED, EXPIRED = "launcher killed", "proxy killed", "watches hear 410 Gone"
PODS_LATE = "pods are heard of late"
SERVER_AWAY, SERVER_SILENT = "no server", "the server's answers are lost"
API_AWAY, API_SILENT = "no API server", "the API server's answers are lost"
_WEIGHTS = {
    KILLED: 3,
    PROXY_KILLED: 1,
    EXPIRED: 2,
    PODS_LATE: 2,
    SERVER_AWAY: 3,
    SERVER_SILENT: 2,
    API_AWAY: 3,
    API_SILENT: 2,
}
_BETWEEN = 6.0
_LONGEST = 8.0


def cast(seed: str, runs: int, *, calm: bool) -> list[Cast]:
    """The runs of a batch, in the order in which they are sent.

    Args:
        seed: of the batch.
        runs: how many.
        calm: whether the launcher has to live through it.
    """
    chance = random.Random(f"{seed} runs")
    return [_one(chance, calm=calm) for _ in range(runs)]


def _one(chance: random.Random, *, calm: bool) -> Cast:
    kind = chance.random()
    seconds = chance.choice([0, 0, 1, 3, 6])
    if kind < 0.05:
        wanted = Wanted(LASTS, killed=True)
    elif kind < 0.15:
        wanted = Wanted(seconds, failure="the patients are too few")
    else:
        wanted = Wanted(seconds, calls=2 if kind < 0.4 else 0)
    case = chance.choice(EVERY) if chance.random() < _BEFALLEN else None
    return Cast(wanted, None if case and calm and case.kills else case)


def events(seed: str, *, calm: bool) -> Iterator[Event]:
    """What happens to everybody, for ever."""
    chance = random.Random(f"{seed} events")
    kinds = [kind for kind in _WEIGHTS if not (calm and kind == KILLED)]
    while True:
        (what,) = chance.choices(kinds, [_WEIGHTS[kind] for kind in kinds])
        yield Event(chance.expovariate(1 / _BETWEEN), what, chance.uniform(0.2, _LONGEST))
