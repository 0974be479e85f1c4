"""The gate: the node is online, and starts runs, only while its algorithms are known to be isolated.

A NetworkPolicy that nobody enforces is a promise. So the isolation is tried: at the start, now and then, when asked,
and as soon as any NetworkPolicy of the namespace changes. A pass is remembered on the task volume together with what it
is valid for, so that a restarted launcher need not try again.
"""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from launcher.backoff import Backoff
from launcher.checkjobs import NotRunnable
from launcher.config.kubernetes import IsolationSection
from launcher.isolationcheck import Verdict
from launcher.metrics import CHECK_SECONDS, CHECKED, CHECKS, GATE_OPEN, PASSED

log = logging.getLogger(__name__)

_FIRST_RETRY, _LONGEST_RETRY = 5.0, 60.0
_TRUSTED_TIMES = 2  # the time between checks: for so long a pass counts where the next check can't be carried out
_NEVER_PASSED = ("", 0.0)
_SETTLE = 1.0  # seconds in which further changes of policies join the check of the first

NEVER = Verdict(False, "The isolation was not checked yet.")


class Gate:
    """Decides whether runs may start, and lets others wait for that.

    Args:
        settings: of the chart's values.
        check: carries a check out.
        state: what a pass is valid for; raises `NotRunnable` if that can't be told now.
        memory: file that remembers the last pass.
        announce: tells the cluster what happened: whether the gate is open, and a sentence.
    """

    def __init__(
        self,
        settings: IsolationSection,
        check: Callable[[], Awaitable[Verdict]],
        state: Callable[[], Awaitable[Any]],
        memory: Path,
        announce: Callable[[bool, str], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._check = check
        self._state = state
        self._memory = memory
        self._announce = announce
        self._opened, self._closed = asyncio.Event(), asyncio.Event()
        self._closed.set()
        self._wake = asyncio.Event()
        self._checking = asyncio.Lock()
        self._checked_state = ""
        self._passed = _NEVER_PASSED
        self._told: tuple[bool, str] | None = None
        self._in_doubt = False
        self.verdict = NEVER
        GATE_OPEN.set_function(lambda: self.may_start)
        self.checked_at: float | None = None
        self.on_breach: Callable[[], None] = lambda: None
        """Told whenever an algorithm was found to get out, where the isolation is required."""
        self.on_resume: Callable[[], None] = lambda: None
        """Told when runs may start that had to wait for a look at changed policies."""
        if not settings.required:
            log.warning("isolation.required is false: algorithms may reach whatever the cluster lets them")
            self._open()

    @property
    def is_open(self) -> bool:
        """Whether the node may be online."""
        return self._opened.is_set()

    @property
    def may_start(self) -> bool:
        """Whether runs may start: not between a change of a policy and the look at it."""
        return self.is_open and not (self._in_doubt and self._settings.required)

    async def opened(self) -> None:
        """Return as soon as the node may be online."""
        await self._opened.wait()

    async def closed(self) -> None:
        """Return as soon as the node may not be online any more."""
        await self._closed.wait()

    def policies_changed(self) -> None:
        """Have a look at whether what was checked is still so."""
        self._in_doubt = True
        self._wake.set()

    async def keep(self) -> None:
        """Check when it is time to, for ever."""
        await self._recall()
        retry = Backoff(_FIRST_RETRY, _LONGEST_RETRY)
        while True:
            if self.checked_at is None or not self.verdict.passed or self._due() <= 0:
                await self.check_now()
                if self.verdict.passed:
                    retry.succeeded()
                else:
                    retry.failed()
            wait = self._due() if self.verdict.passed else retry.seconds
            try:
                async with asyncio.timeout(max(wait, 0.1)):
                    await self._until_changed()
            except TimeoutError:
                continue
            log.info("a NetworkPolicy changed: the isolation is checked again")
            self.checked_at = None

    async def check_now(self) -> Verdict:
        """Check, open or shut the gate accordingly, and say so."""
        async with self._checking:
            start = time.monotonic()
            log.info("checking the isolation")
            self._checked_state = ""
            try:
                self._checked_state = await self._fingerprint()
                self.verdict = await self._check()
            except NotRunnable as error:
                self.verdict = Verdict(False, str(error), unknown=True)
            except Exception as error:  # whatever it is: what is not known to be isolated is not
                log.exception("the check of the isolation failed")
                self._checked_state = ""
                self.verdict = Verdict(False, f"The isolation can't be checked: {error!r}", unknown=True)
            self.checked_at = time.time()
            PASSED.set(self.verdict.passed)
            CHECKED.set(self.checked_at)
            CHECKS.labels("passed" if self.verdict.passed else "unknown" if self.verdict.unknown else "failed").inc()
            CHECK_SECONDS.observe(seconds := time.monotonic() - start)
            await self._conclude(round(seconds, 1))
            return self.verdict

    async def _conclude(self, seconds: float) -> None:
        verdict = self.verdict
        fields = {
            "seconds": seconds,
            "probes": len(verdict.rows),
            "accepted": verdict.accepted,
            "untried": verdict.untried,
        }
        if verdict.passed:
            log.info("the isolation holds", extra={"fields": fields})
            self._passed = (self._checked_state, time.time())
            self._open()
            self._look_taken()
            await self._remember()
        else:
            found = "the isolation can't be checked" if verdict.unknown else "the isolation does not hold"
            log.error(found, extra={"fields": {**fields, "reason": verdict.reason}})
            if not (verdict.unknown and self._is_as_it_passed()):
                await self._fail(verdict)
        if self._told != (told := (verdict.passed, verdict.reason)):
            self._told = told
            await self._announce(*told)

    def _is_as_it_passed(self) -> bool:
        """Whether all is as it was when a check passed not long ago: a cluster too full for the next is no breach."""
        state, at = self._passed
        recent = time.time() - at < _TRUSTED_TIMES * self._settings.recheckEvery
        return recent and not self._in_doubt and state == self._checked_state != ""

    async def _fail(self, verdict: Verdict) -> None:
        self._passed = _NEVER_PASSED
        if self._settings.required:
            self._shut()
            if verdict.breached:
                self.on_breach()
        await self._forget()

    def _open(self) -> None:
        self._closed.clear()
        self._opened.set()

    def _shut(self) -> None:
        self._opened.clear()
        self._closed.set()

    def _look_taken(self) -> None:
        """End the doubt, unless a policy changed once more meanwhile."""
        if self._in_doubt and not self._wake.is_set():
            self._in_doubt = False
            self.on_resume()

    def _due(self) -> float:
        """Seconds until the next regular check."""
        return (self.checked_at or 0) + self._settings.recheckEvery - time.time()

    async def _until_changed(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(_SETTLE)
            self._wake.clear()
            if await self._differs():
                return
            self._look_taken()

    async def _differs(self) -> bool:
        """Whether something else was checked than what is here now, as far as one can tell."""
        try:
            return await self._fingerprint() != self._checked_state
        except NotRunnable:
            return True

    async def _fingerprint(self) -> str:
        state = json.dumps(await self._state(), sort_keys=True, default=str)
        return hashlib.sha256(state.encode()).hexdigest()

    async def _recall(self) -> None:
        """Open at once if a recent pass is still valid."""
        try:
            memory = json.loads(await asyncio.to_thread(self._memory.read_text))
            state, at, rows = str(memory["state"]), float(memory["at"]), list(memory["rows"])
        except (OSError, ValueError, TypeError, KeyError):
            return
        self._checked_state = state
        if 0 <= time.time() - at < self._settings.recheckEvery and not await self._differs():
            self.checked_at = at
            self._passed = (state, at)
            accepted, untried = (list(memory.get(key) or ()) for key in ("accepted", "untried"))
            self.verdict = Verdict(True, "", rows, accepted, untried)
            PASSED.set(1)
            CHECKED.set(at)
            log.info("the isolation was checked before", extra={"fields": {"seconds_ago": round(time.time() - at)}})
            self._open()

    async def _remember(self) -> None:
        memory = {"state": self._checked_state, "at": self.checked_at, "rows": self.verdict.rows}
        text = json.dumps({**memory, "accepted": self.verdict.accepted, "untried": self.verdict.untried})
        try:
            await asyncio.to_thread(self._write, text)
        except OSError as error:
            log.warning("a restart will check anew: the pass can't be kept", extra={"fields": {"reason": str(error)}})

    async def _forget(self) -> None:
        try:
            await asyncio.to_thread(self._memory.unlink, True)
        except OSError as error:
            fields = {"file": str(self._memory), "reason": str(error)}
            log.error("the memory of an earlier pass can't be removed; remove it by hand", extra={"fields": fields})

    def _write(self, text: str) -> None:
        aside = self._memory.with_suffix(".new")
        aside.write_text(text)
        aside.rename(self._memory)
