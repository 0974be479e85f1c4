"""Whether algorithms can read the node's file databases, and the columns of csv files.

The launcher holds the node's key and reaches the network, so it never mounts a database: the diagnostics algorithm
looks, isolated like any other, and only the names of columns and the name of an error come back.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from launcher.backoff import Backoff
from launcher.checkjobs import CheckJobs, NotRunnable
from launcher.config.node import Database, NodeSection
from launcher.invariants import InvariantError
from launcher.jobmarks import CHECK
from launcher.kubeapi import ApiRefusal, ClusterUnavailable
from launcher.runs import RequestedDatabase, Run
from launcher.templates import TemplateError
from launcher.untrusted import OutputError

log = logging.getLogger(__name__)

Share = Callable[[dict[str, list[str]]], Awaitable[None]]

_FIRST_RETRY, _LONGEST_RETRY = 5.0, 300.0  # seconds
_PATIENCE = 60.0  # seconds; the image is there, as the isolation was checked with it
_MOST_COLUMNS, _LONGEST_NAME = 10_000, 250
_REMEDIES = {
    "ENOENT": "there is nothing at its path; correct the database's uri, or the claim's content",
    "EACCES": "algorithms may not read it; add the group that may to jobs.securityContext.supplementalGroups",
    "ENOTDIR": "it is no folder; correct its type or its uri",
    "EISDIR": "it is a folder; correct its type or its uri",
}


def say_what_is_not_copied(node: NodeSection) -> None:
    """Warn of `mount_mode: copy`, by which the reference node gives algorithms a copy that they may write to."""
    labels = [each.label for each in node.databases if each.mount_mode == "copy" and not each.is_service]
    if labels:
        log.warning(
            "node.databases asks for mount_mode copy, but nothing is copied here: databases are mounted read-only",
            extra={"fields": {"databases": labels}},
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of a database."""

    label: str
    trouble: str = ""
    """Why it can't be read, with a remedy; empty if it can."""
    columns: tuple[str, ...] | None = None
    """Of a csv file."""


def finding(database: Database, answer: bytes) -> Finding:
    """What the diagnostics algorithm's answer says of a database.

    Raises:
        NotRunnable: the answer is not of the kind expected.
    """
    try:
        (row,) = json.loads(answer)
        observed, columns = str(row["observed"]), row.get("columns")
        if columns is not None:
            columns = tuple(str(name)[:_LONGEST_NAME] for name in list(columns)[:_MOST_COLUMNS])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise NotRunnable("The diagnostics algorithm's answer is no table.") from error
    if observed == "readable":
        return Finding(database.label, columns=columns)
    return Finding(database.label, f"{observed}: {_REMEDIES.get(observed, 'it can not be read')}")


async def _nobody(_: dict[str, list[str]]) -> None:
    """Who columns are shared with before the node is online."""


class DatabaseCheck:
    """Looks at the file databases: when runs may start, on a schedule, and when asked.

    Args:
        node: the node's configuration.
        jobs: carries calls of the diagnostics algorithm out.
        every: seconds between looks; after one that could not be taken, fewer.
    """

    def __init__(self, node: NodeSection, jobs: CheckJobs, every: float) -> None:
        databases = [database for database in node.databases if not database.is_service]
        # Below 0: the isolation check's is 0, and a server counts from 1.
        self._looks = {
            database.label: (
                replace(CHECK, id=-number, task_name="database", databases=(RequestedDatabase(database.label),)),
                database,
            )
            for number, database in enumerate(databases, start=1)
        }
        self._jobs = jobs
        self._every = every
        self._failed = Backoff(_FIRST_RETRY, _LONGEST_RETRY)
        self._one_at_a_time = asyncio.Lock()
        self._found: dict[str, Finding] = {}
        self._share: Share = _nobody

    @property
    def findings(self) -> list[Finding]:
        """What is known of the databases by now."""
        return [self._found[label] for label in self._looks if label in self._found]

    async def clean_up(self) -> None:
        """Remove what an earlier look left.

        Raises:
            ClusterUnavailable, ApiRefusal, OSError: something is left.
        """
        await self._jobs.clean_up([run.id for run, _ in self._looks.values()])

    async def keep(self, opened: Callable[[], Awaitable[None]], share: Share) -> None:
        """Look now and then, for ever.

        Args:
            opened: returns when runs may start.
            share: given the columns of all csv files whose columns are known, whenever one was looked at.
        """
        self._share = share
        while self._looks:
            await opened()
            await self.look()
            await asyncio.sleep(min(self._failed.seconds, self._every) if self._failed.failures else self._every)

    async def look(self) -> list[Finding]:
        """Look at all file databases; what can't be found out is said, and harms nothing."""
        async with self._one_at_a_time:
            try:
                await self.clean_up()
                try:
                    await self._look()
                finally:
                    await self.clean_up()
                self._failed.succeeded()
            except (ClusterUnavailable, ApiRefusal, TemplateError, InvariantError, OSError) as error:
                self._failed.failed(error)
                log.warning("the databases can't be looked at", extra={"fields": {"reason": str(error)}})
            return self.findings

    async def _look(self) -> None:
        # A Job each: one whose volume can't be mounted would keep the others from being looked at.
        started = {}
        for run, database in self._looks.values():
            asked = [{"label": database.label, "type": database.type}]
            started[await self._jobs.start(run, "databases", asked)] = (run, database)
        # As they come: one that can't be mounted takes as long as there is patience.
        for answer in asyncio.as_completed([self._answer(name, *look) for name, look in started.items()]):
            await self._note(await answer)

    async def _note(self, found: Finding) -> None:
        self._found[found.label] = found
        if not found.trouble:
            fields = {"database": found.label, "columns": found.columns}
            log.info("algorithms can read a database", extra={"fields": fields})
        else:
            fields = {"database": found.label, "reason": found.trouble}
            log.warning("algorithms can't read a database", extra={"fields": fields})
        if found.columns is not None:
            await self._share({each.label: list(each.columns) for each in self.findings if each.columns is not None})

    async def _answer(self, name: str, run: Run, database: Database) -> Finding:
        try:
            return finding(database, await self._jobs.answer(name, run, _PATIENCE))
        except (NotRunnable, OutputError) as error:
            return Finding(database.label, str(error))
