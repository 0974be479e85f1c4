"""Thirty runs, while things go wrong at random; `make soak` does the same with a thousand."""

import os
import random

import pytest

from tests import figures
from tests.faults.site import FaultySite
from tests.soak import batch, report

RUNS = 30


@pytest.mark.contract("§6 a run is executed once")
@pytest.mark.contract("§18 5 nothing is lost when the delivery fails")
def test_of_thirty_runs_none_is_lost_none_doubled_and_nothing_is_left(site: FaultySite) -> None:
    """`V6_NODE_SOAK_SEED=… pytest tests/cluster/faults/test_short_soak.py` does the same once more."""
    seed = os.environ.get("V6_NODE_SOAK_SEED") or str(random.SystemRandom().randrange(10**6))
    result = batch.play(site, f"{seed}/0", RUNS, calm=False)
    told = list(report.lines(seed, [result]))
    figures.note("figures", *(f"soak: {line}" for line in told[:4]))
    assert result.good, "\n".join(told)
