"""What the test image's launcher asks at each step of a run: the test decides, and remembers where each run was."""

import contextlib
import json
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_UNKNOWN_WITHIN = 8.0
"""Seconds that the launcher stands still for a run whose sender has not yet said what shall happen to it."""


@dataclass(frozen=True)
class Visit:
    """The launcher at a step of a run."""

    at: float  # seconds, time.time()
    process: int
    when: str  # before, within, after
    step: str
    run: int


@dataclass(frozen=True)
class Memory:
    """What a launcher held, when it had begun to work on so many runs."""

    process: int
    runs: int
    kib: int


@dataclass
class Strike:
    """Something that happens to a run, once.

    Args:
        step: at which step, by its name.
        when: `before`, `within` or `after` it.
        act: does it, and returns the order for the launcher: `go`, `die`, `fail`, `expire` or `deaf`.
        nth: of the changes of the volume within the step, the one before which it happens; from 1.
    """

    step: str
    when: str
    act: Callable[[], str]
    nth: int = 1
    struck: bool = False

    def __str__(self) -> str:
        return f"{self.when} {self.step}" + (f", change {self.nth}" if self.when == "within" else "")


@dataclass
class Direction:
    """Listens on an address of this machine, at a port of the system's choice, until it is closed."""

    address: str
    visits: list[Visit] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    deaths: int = 0
    meanwhile: Callable[[], str] = lambda: "go"
    """Asked a few times a second: the order for the launcher, wherever it is."""

    def __post_init__(self) -> None:
        self._plans: dict[int, list[Strike]] = {}
        self._seen: dict[int, set[int]] = {}
        self._news = threading.Condition()

    def __enter__(self) -> "Direction":
        direction = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # a launcher that is killed takes no leave
                    for line in self.rfile:
                        self.wfile.write(f"{direction.answer(json.loads(line))}\n".encode())

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server((self.address, 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def plan(self, run: int, strikes: list[Strike]) -> None:
        """Say what shall happen to a run; they happen in this order."""
        with self._news:
            self._plans[run] = strikes
            self._news.notify_all()

    def left_out(self, run: int) -> list[Strike]:
        """What was to happen to a run, and did not."""
        return [strike for strike in self._plans.get(run, []) if not strike.struck]

    def story(self, run: int) -> str:
        """Where the launcher was with a run, one line for each visit."""
        mine = [visit for visit in self.visits if visit.run == run]
        start = mine[0].at if mine else 0
        return "\n".join(f"{each.at - start:7.2f} s  {each.process}  {each.when} {each.step}" for each in mine)

    def changes(self, run: int) -> dict[str, int]:
        """How many changes of the volume each step of a run made, where it was undisturbed."""
        mine = [visit.step for visit in self.visits if visit.run == run and visit.when == "within"]
        return {step: mine.count(step) for step in mine}

    def answer(self, told: dict[str, Any]) -> str:
        """The order for a launcher that says where it is."""
        if told["when"] == "meanwhile":
            runs = len(self._seen.get(told["process"], ()))
            self.memory.append(Memory(told["process"], runs, told["kib"]))
            order = self.meanwhile()
        elif not told["run"]:  # the launcher's own checks
            return "go"
        else:
            order = self._at(Visit(time.time(), **told))
        self.deaths += order == "die"
        return order

    def _at(self, visit: Visit) -> str:
        with self._news:
            self.visits.append(visit)
            self._seen.setdefault(visit.process, set()).add(visit.run)
            self._news.wait_for(lambda: visit.run in self._plans, _UNKNOWN_WITHIN)
            strike = next((each for each in self._plans.get(visit.run, ()) if not each.struck), None)
            if strike is None or (strike.step, strike.when) != (visit.step, visit.when):
                return "go"
            if strike.when == "within" and self._change(visit) != strike.nth:
                return "go"
            strike.struck = True
            return strike.act()

    def _change(self, visit: Visit) -> int:
        """Which change of the volume this is, from the step's last beginning on."""
        number = 0
        for each in reversed(self.visits):
            if (each.run, each.step) == (visit.run, visit.step):
                if each.when == "before":
                    break
                number += 1
        return number
