"""One batch: its runs are sent, a few at a time, while things go wrong; then all is quiet, and it is judged."""

import contextlib
import threading
import time
from dataclasses import dataclass, field

from tests.faults.direction import Memory
from tests.faults.gossip import Gossip
from tests.faults.judge import complaints, left_behind
from tests.faults.play import wait_for_the_end
from tests.faults.site import FaultySite, Sent
from tests.soak import chance
from tests.soak.chance import Cast, Event
from tests.stage import StageError

_STUCK = 300.0
"""Seconds without the end of any run after which something is lost."""


@dataclass
class Result:
    """What became of a batch."""

    runs: int
    calm: bool
    seconds: float = 0
    deaths: int = 0
    happened: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    """What is wrong with runs, by their number."""
    left_behind: list[str] = field(default_factory=list)
    memory: list[tuple[int, int, int]] = field(default_factory=list)
    """Process, runs that it had begun to work on, and KiB, once for each number of runs."""

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong and not self.left_behind


class Trouble:
    """Makes things happen, in a thread of its own, from `begin` to `end`."""

    def __init__(self, site: FaultySite, seed: str, *, calm: bool) -> None:
        self._site = site
        self._events = chance.events(seed, calm=calm)
        self._over = threading.Event()
        self._orders: list[str] = []
        self._thread = threading.Thread(target=self._make, daemon=True)
        self.happened: dict[str, int] = {}

    def __enter__(self) -> "Trouble":
        self._site.direction.meanwhile = lambda: self._orders.pop() if self._orders else "go"
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._orders.clear()

    def _make(self) -> None:
        for event in self._events:
            if self._over.wait(event.after):
                return
            self._happen(event)
            self.happened[event.what] = self.happened.get(event.what, 0) + 1

    def _happen(self, event: Event) -> None:
        match event.what:
            case chance.KILLED:
                self._orders.append("die")
            case chance.EXPIRED:
                self._orders.append("expire")
            case chance.PODS_LATE:
                self._orders.append("deaf")
            case chance.PROXY_KILLED:
                with contextlib.suppress(StageError):  # it is just being started anew
                    self._site.node.kill_proxy()
            case chance.SERVER_AWAY:
                self._site.server_way.away(event.seconds)
            case chance.SERVER_SILENT:
                self._site.server_way.silent(event.seconds)
            case chance.API_AWAY:
                self._site.api_way.away(event.seconds)
            case chance.API_SILENT:
                self._site.api_way.silent(event.seconds)


def play(site: FaultySite, seed: str, runs: int, *, calm: bool, at_once: int = 8) -> Result:
    """Play a batch, and judge it.

    Args:
        site: where; nothing else is sent there meanwhile.
        seed: of the batch.
        runs: how many.
        calm: whether the launcher is not killed, so that its memory can be watched.
        at_once: how many runs are open at most.
    """
    began, deaths, remembered = time.monotonic(), site.direction.deaths, len(site.direction.memory)
    gossip = Gossip(seed)
    gossip.begin(site.recorder)
    with Trouble(site, seed, calm=calm) as trouble:
        sent = _send(site, chance.cast(seed, runs, calm=calm), at_once)
    gossip.end(site.recorder)
    late, volume = wait_for_the_end(site, sent)
    result = Result(runs, calm, time.monotonic() - began, site.direction.deaths - deaths)
    for each in sent:
        if found := complaints(site, each, volume):
            result.wrong[str(each.run)] = [*found, site.direction.story(each.run)]
    result.left_behind = [*late, *left_behind(site, volume)]
    if len(site.direction.memory) == remembered:
        result.left_behind.append("the launcher asked nobody what shall happen: it is not the test image's")
    told = {"events told twice": gossip.told_twice, "stale lists": gossip.stale_lists}
    result.happened = {**trouble.happened, **told}
    result.memory = _thinned(site.direction.memory[remembered:])
    return result


def _send(site: FaultySite, casts: list[Cast], at_once: int) -> list[Sent]:
    """Send all, and return when few enough are open to call it the end; kill those that shall be killed."""
    sent: list[Sent] = []
    open_: list[Sent] = []
    changed = time.monotonic()
    waiting = list(casts)
    while waiting or open_:
        while waiting and len(open_) < at_once:
            each = waiting.pop(0)
            sent.append(site.send(each.wanted, each.case.strikes(site) if each.case else []))
            open_.append(sent[-1])
        over = [each for each in open_ if _is_over(site, each)]
        open_ = [each for each in open_ if each not in over]
        changed = time.monotonic() if over else changed
        if time.monotonic() - changed > _STUCK:
            break  # the judge says which
        time.sleep(0.3)
    return sent


def _is_over(site: FaultySite, sent: Sent) -> bool:
    """Whether a run has ended; kills it if it shall be killed and runs."""
    if sent.wanted.killed and sent.task.statuses() == ["active"]:
        site.node.collaboration.federation.root.task.kill(sent.task.id)
    return sent.task.finished()


def _thinned(memory: list[Memory]) -> list[tuple[int, int, int]]:
    """The last measurement of each number of runs of each process."""
    last = {(each.process, each.runs): each.kib for each in memory}
    return [(process, runs, kib) for (process, runs), kib in last.items()]
