"""What a researcher reads in a run's log while the run waits."""

import logging
import time

from launcher.config.jobs import Jobs
from launcher.runentry import Entry
from launcher.runs import Run
from launcher.session import Session
from launcher.vigil import Verdict, Vigil
from launcher.waiting import Waiting

log = logging.getLogger(__name__)


class Notices:
    """Tells why runs wait.

    Args:
        session: the server.
        jobs: how long what is put up with.
    """

    def __init__(self, session: Session, jobs: Jobs) -> None:
        self._session = session
        self._jobs = jobs

    async def waits(self, run: Run, entry: Entry, why: Waiting | None) -> Verdict:
        """What follows from a run's waiting; the researcher is told of it when it is time to."""
        entry.vigil = vigil = entry.vigil or Vigil(self._jobs.waitForRoomSeconds, self._jobs.waitForRepairSeconds)
        verdict = vigil.look(why, time.monotonic())
        if why and verdict.tell and await self._session.show_log(run, f"{verdict.tell}\n"):
            vigil.told(why, time.monotonic())
            log.info("waits", extra={"fields": {"run": run.id, "reason": why.sentence, "detail": why.detail}})
        return verdict

    async def held_back(self, run: Run, entry: Entry, why: str) -> None:
        """Say, once, why the node does not start a run."""
        if not entry.held_back and await self._session.show_log(run, f"{why}\n"):
            entry.held_back = True
            log.info("waits", extra={"fields": {"run": run.id, "reason": why}})
