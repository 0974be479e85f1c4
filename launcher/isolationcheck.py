"""One check of the isolation: the diagnostics algorithm, run like any other, tries every way out."""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from launcher.checkjobs import CheckJobs, NotRunnable
from launcher.cluster import Cluster
from launcher.config import NodeConfig
from launcher.destinations import Destinations
from launcher.invariants import InvariantError
from launcher.jobmarks import CHECK, CHECK_GRANTED
from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi
from launcher.launch import Launch
from launcher.networkpolicies import unexpected
from launcher.runs import Run
from launcher.surroundings import NoControl, surroundings, try_controls
from launcher.taskfiles import TaskFiles
from launcher.templates import TemplateError
from launcher.untrusted import OutputError
from launcher.waysout import BY_NAME, CONTROLLED, OPEN, WAYS, Surroundings, probes

log = logging.getLogger(__name__)

CAME_THROUGH = frozenset({"connected", "answered", "resolved", "present", "written"})
"""What the diagnostics algorithm says of a way that is open."""
STOPPED = frozenset({"timed out", "unreachable", "unresolved", "forbidden", "absent", "read-only", "no socket"})
"""What it says of a way that is shut."""
REFUSED = "refused"
"""Said by the network plugin, or by the target itself, which was reached then."""
NO_ADDRESS = "n/a"
NONE, ALL = "none", "all"
"""Which of the node's databases an algorithm is let through to."""
_SHORTEST = 2.0
_TIMES_CONTROL = 10

Row = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What a check says of the isolation."""

    passed: bool
    reason: str
    """Why it did not pass; empty if it did."""
    rows: list[Row] = field(default_factory=list)
    """What was tried, and what happened."""
    accepted: list[str] = field(default_factory=list)
    """Ways that are open and that the site puts up with."""
    untried: list[str] = field(default_factory=list)
    """Ways of which nothing is known, as the site has no target for them."""
    breached: bool = False
    """Whether an algorithm got out on a way that it must not."""
    unknown: bool = False
    """Whether the check could not be carried out, so that nothing was found."""


def judge(asked: list[Row], rows: list[Row], accept: tuple[str, ...], unexpected: Sequence[str] = ()) -> Verdict:
    """Decide whether the isolation holds.

    Args:
        asked: the probes that the algorithm was told to carry out.
        rows: what it says of them.
        accept: names of ways that the site puts up with.
        unexpected: sentences on what is not as it should be, whatever the probes say.
    """
    if [row.get("name") for row in rows] != [probe["name"] for probe in asked]:
        return Verdict(False, "The diagnostics algorithm did not carry out the probes that it was given.", rows)
    plugin_refuses = any(row["observed"] == REFUSED for row in rows if row["name"] in CONTROLLED)
    wrong, accepted, breached = list(unexpected), [], False
    for row in rows:
        way = BY_NAME[row["name"]]
        is_open = _is_open(row, plugin_refuses=plugin_refuses)
        if is_open and way.expected != OPEN and way.acceptable and way.name in accept:
            accepted.append(way.name)
        elif is_open is not (way.expected == OPEN):
            breached = breached or bool(is_open)
            wrong.append(_sentence(row, is_open))
    untried = [way.name for way in WAYS if not way.arranged and way.name not in {row["name"] for row in rows}]
    return Verdict(not wrong, " ".join(wrong), rows, accepted, untried, breached)


def _is_open(row: Row, *, plugin_refuses: bool) -> bool | None:
    """Whether a way was found open; None if what was observed says nothing."""
    observed, way = row["observed"], BY_NAME[row["name"]]
    if observed in CAME_THROUGH:
        return True
    if observed == REFUSED:
        # What the launcher itself connects to does not refuse: there it was the plugin, and then elsewhere too.
        return way.expected != OPEN and not (plugin_refuses or way.may_refuse)
    if observed == NO_ADDRESS:
        return False if ":" in row["target"] and way.expected != OPEN else None
    return False if observed in STOPPED else None


def _sentence(row: Row, is_open: bool | None) -> str:
    way = BY_NAME[row["name"]]
    facts = f"({way.name}, {row['target']}: {row['observed']})"
    if is_open is None:
        return f"Nothing can be said of {way.what} {facts}."
    if way.expected == OPEN:
        return f"Algorithms don't reach {way.what} {facts}."
    who = "Algorithms of tasks with databases" if row.get("databases") == ALL else "Algorithms"
    return f"{who} reach what they must not: {way.what} {facts}."


class IsolationCheck:
    """Carries checks out.

    Args:
        config: the node's configuration.
        api: the API server.
        cluster: where the Job is made.
        files: the task volume.
        launch: makes the Job's manifest.
        destinations: keeps some of the NetworkPolicies.
    """

    def __init__(
        self,
        config: NodeConfig,
        api: KubeApi,
        cluster: Cluster,
        files: TaskFiles,
        launch: Launch,
        *,
        destinations: Destinations,
    ) -> None:
        self._config = config
        self._api = api
        self._cluster = cluster
        self._jobs = CheckJobs(cluster, files, launch, "isolation")
        self._launch = launch
        self._destinations = destinations

    async def run(self) -> Verdict:
        """Check, and leave nothing behind.

        Raises:
            NotRunnable: nothing can be said; the message tells why.
        """
        try:
            await self._destinations.restore()
            here = await surroundings(self._config, self._api)
            seconds = max(_SHORTEST, _TIMES_CONTROL * await try_controls(here))
            trials = {NONE: (CHECK, probes(here, seconds))}
            if self._launch.every_capability:
                trials[ALL] = (CHECK_GRANTED, _but_databases(probes(here, seconds), here))
            rows = await self._try(trials)
        except (NoControl, OutputError, TemplateError, InvariantError) as error:
            raise NotRunnable(str(error)) from error
        except (ClusterUnavailable, ApiRefusal, OSError) as error:
            raise NotRunnable(f"The isolation can't be checked: {error}") from error
        asked = [probe for _, those in trials.values() for probe in those]
        return judge(asked, rows, self._config.kubernetes.isolation.accept, self.unexpected)

    @property
    def unexpected(self) -> list[str]:
        """Sentences on NetworkPolicies that may concern algorithms and are not as they should be."""
        kubernetes = self._config.kubernetes
        kept, pod_labels = self._destinations.kept, kubernetes.jobs.podLabels
        return unexpected(self._cluster.policies, kubernetes.policies, kept, pod_labels)

    def own_doing(self, policy: str) -> bool:
        """Whether the change of a policy is this launcher's, which opens the ways to databases that have names."""
        return policy in self._destinations.kept - set(self._destinations.disturbed) and not self.unexpected

    async def clean_up(self) -> None:
        """Remove what an earlier launcher's check left.

        Raises:
            ClusterUnavailable, ApiRefusal, OSError: something is left.
        """
        await self._jobs.clean_up([CHECK.id])

    async def _try(self, trials: dict[str, tuple[Run, list[Row]]]) -> list[Row]:
        """Have all trials carried out at once; their rows say which databases they were let through to."""
        await self.clean_up()
        start = time.monotonic()
        rows = []
        try:
            jobs = [await self._jobs.start(run, "probe", asked) for run, asked in trials.values()]
            for job, (databases, (run, _)) in zip(jobs, trials.items(), strict=True):
                rows += [{**row, "databases": databases} for row in _rows(await self._jobs.answer(job, run))]
        finally:
            await self.clean_up()
        log.debug("isolation tried", extra={"fields": {"seconds": round(time.monotonic() - start, 1)}})
        return rows


def _but_databases(asked: list[Row], here: Surroundings) -> list[Row]:
    """The probes whose target is no database, whatever they call it."""
    return [
        probe
        for probe in asked
        if probe["name"] != "other-database" and (probe["host"], probe.get("port")) not in here.databases
    ]


def _rows(answer: bytes) -> list[Row]:
    try:
        rows = json.loads(answer)
        return [{**row, "observed": str(row["observed"])} for row in rows]
    except (ValueError, TypeError, KeyError) as error:
        raise NotRunnable("The diagnostics algorithm's answer is no table.") from error
