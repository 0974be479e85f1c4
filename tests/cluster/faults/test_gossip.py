"""Events come twice, late and in another order, lists of open runs are old: each run still happens once."""

import random

import pytest

from tests import figures
from tests.faults.gossip import Gossip
from tests.faults.judge import complaints, left_behind
from tests.faults.matrix import LASTS
from tests.faults.play import kill_those_that_run, wait_for_the_end
from tests.faults.site import FaultySite, Wanted
from tests.stage.waiting import wait_until


@pytest.mark.contract("§6 a run is executed once")
def test_what_is_told_twice_late_and_in_another_order_happens_once(site: FaultySite) -> None:
    seed = str(random.SystemRandom().randrange(10**6))
    gossip = Gossip(seed)
    gossip.begin(site.recorder)
    killed, short = Wanted(LASTS, killed=True), Wanted(1)
    sent = [site.send(wanted) for wanted in (short, killed, short, short, killed, short)]
    # The lists are read anew with each connection: one of those that run is kept, and shown again when they are over.
    site.server_way.away(0)
    wait_until(lambda: gossip.longest_list >= len(sent) // 3, 60, lambda: "the open runs were not read anew")
    kill_those_that_run(site, sent)
    late, _ = wait_for_the_end(site, sent)
    site.server_way.away(0)
    wait_until(lambda: gossip.stale_lists > 0, 60, lambda: "no list was read that could be an old one")
    sent.append(site.send(short))
    later, volume = wait_for_the_end(site, sent)
    gossip.end(site.recorder)
    wrong = {each.run: found for each in sent if (found := complaints(site, each, volume))}
    assert wrong == {}, f"with seed {seed}"
    assert late + later + left_behind(site, volume) == []
    assert gossip.told_twice > 10
    figures.note("figures", f"gossip: {gossip.told_twice} events twice, {gossip.stale_lists} stale lists")
