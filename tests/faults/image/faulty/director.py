"""Asks the test what shall happen now: a line of JSON, answered by a word; the launcher stands still meanwhile."""

import errno
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

from . import STRUCK

DEAF = 8.0
"""Seconds that what becomes of pods is not heard."""
_WITHIN = 10.0
_EVERY = 0.2
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class Director:
    """The test that directs, at a host and port."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._lock = threading.Lock()
        self._stream: Any = None
        self.expiries = 0
        """How often all watches had to hear that what they ask for is too old."""
        self.deaf_until = 0.0
        """Until when, by the monotonic clock, the watch of pods says nothing."""

    def at(self, when: str, step: str, run: int | None) -> None:
        """Say where the launcher is, and do as is told: nothing, or die.

        Raises:
            OSError: the volume is said to be full.
        """
        self._obey(self._ask({"when": when, "step": step, "run": run}))

    def report_now_and_then(self) -> None:
        """Tell how much memory there is in use, in a thread of its own; the test may strike between steps by that."""
        threading.Thread(target=self._report, daemon=True).start()

    def _report(self) -> None:
        while True:
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_KIB
            self._obey(self._ask({"when": "meanwhile", "kib": resident}))
            time.sleep(_EVERY)

    def _ask(self, told: dict[str, Any]) -> str:
        with self._lock:
            try:
                if self._stream is None:
                    self._stream = socket.create_connection(self._address, timeout=_WITHIN).makefile("rw")
                self._stream.write(json.dumps({"process": os.getpid(), **told}) + "\n")
                self._stream.flush()
                return str(self._stream.readline()).strip() or "go"
            except OSError:  # the test is over; that nobody directs is what the test itself would notice
                self._stream = None
                return "go"

    def _obey(self, order: str) -> None:
        if order == "die":
            STRUCK.touch()
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)  # never comes back
        if order == "fail":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if order == "expire":
            self.expiries += 1
        if order == "deaf":
            self.deaf_until = time.monotonic() + DEAF
