"""A server that tells everything twice, late and in another order, and that shows lists of runs that are not new."""

import json
import random
import threading

from tests.stage.recorder import Exchange, Recorder

_EVENT = "42/tasks,"
_LATEST = 2.0


class Gossip:
    """Between the server and a node that a recorder stands before.

    Args:
        seed: of what it does.
    """

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._lists: dict[str, bytes] = {}
        self.told_twice = self.stale_lists = 0
        self.longest_list = 0
        """Most runs that were in a list of open ones."""

    def begin(self, recorder: Recorder) -> None:
        """From now on distort what goes through a recorder."""
        recorder.retell, recorder.replace = self.retell, self.stale

    def end(self, recorder: Recorder) -> None:
        """Let everything through as it is."""
        recorder.retell = recorder.replace = None

    def retell(self, text: str) -> list[tuple[float, str]]:
        """What is told instead of a message: an event comes twice, each time after a while of its own."""
        if not text.startswith(_EVENT):
            return [(0, text)]
        with self._lock:
            self.told_twice += 1
            return [(self._random.uniform(0.01, _LATEST), text) for _ in range(2)]

    def stale(self, exchange: Exchange, body: bytes) -> bytes:
        """What is answered instead of a list of open runs: an earlier one that still has runs that are closed by now.

        Never one without a run that is open: a server may be late to notice an end, but a new run is told of once.
        """
        if exchange.method != "GET" or not exchange.path.endswith("/run") or "state=open" not in exchange.query:
            return body
        with self._lock:
            earlier = self._lists.get(exchange.query, body)
            if _runs(earlier) > _runs(body):
                self.stale_lists += 1
                del self._lists[exchange.query]  # once
                return earlier
            self._lists[exchange.query] = body
            self.longest_list = max(self.longest_list, len(_runs(body)))
            return body


def _runs(body: bytes) -> set[int]:
    try:
        return {run["id"] for run in json.loads(body)["data"]}
    except (ValueError, KeyError):
        return set()
