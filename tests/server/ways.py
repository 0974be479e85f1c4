"""The ways in which a session is held: with which release, over which transport, in which kind of collaboration."""

import itertools
from typing import NamedTuple

import pytest

from tests.stage.server_python import MIDDLE, NEWEST, OLDEST


class Kind(NamedTuple):
    release: str
    transport: str
    collaboration: str

    @property
    def encrypted(self) -> bool:
        return self.collaboration == "encrypted"


DIMENSIONS = (NEWEST, MIDDLE, OLDEST), ("polling", "websocket"), ("plain", "encrypted")
EVERY = [Kind(*values) for values in itertools.product(*DIMENSIONS)]


def _even(kind: Kind) -> bool:
    return sum(values.index(value) for values, value in zip(DIMENSIONS, kind, strict=True)) % 2 == 0


PAIRWISE = [kind for kind in EVERY if _even(kind)]
"""Every pair of values of two dimensions is in one of them (tests/unit/test_ways.py)."""


# Each value once, for what goes by REST alone or takes long: such as log-in, tokens, pages, each status of an end, a
# restart of the server. What carries inputs, results, logs, kills and keys, or is about being connected, is pairwise.
EACH_RELEASE = [
    Kind(NEWEST, "polling", "plain"),
    Kind(MIDDLE, "polling", "encrypted"),
    Kind(OLDEST, "websocket", "encrypted"),
]


def params(kinds: list[Kind], ordinary: list[Kind] = PAIRWISE) -> list[object]:
    """Parameters of the fixture `way`; what is not ordinary is for the run of everything."""
    return [pytest.param(kind, id="-".join(kind), marks=[] if kind in ordinary else pytest.mark.slow) for kind in kinds]


each_release = pytest.mark.parametrize("way", params(EVERY, EACH_RELEASE), indirect=True)


def only(**wanted: str) -> pytest.MarkDecorator:
    """Hold a test in these ways only, such as `only(collaboration="encrypted")`."""
    kinds = [kind for kind in EVERY if wanted.items() <= kind._asdict().items()]
    return pytest.mark.parametrize("way", params(kinds), indirect=True)
