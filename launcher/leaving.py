"""The node is uninstalled: what runs is ended, and the server told, while there still are rights and isolation.

helm removes rights, Jobs and NetworkPolicies within a second. So the chart has a pod that helm runs before that
(`pre-delete`); it asks the launcher to leave, and waits for the answer.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from launcher.kubeapi import ApiRefusal, ClusterUnavailable
from launcher.question import NoAnswer, ask
from launcher.reconciler import Reconciler
from launcher.runs import JobState, ServerState

log = logging.getLogger(__name__)

SENTENCE = "The node was uninstalled before the algorithm ended; send the task again when there is one."
_ENDING, _TELLING = 240.0, 30.0  # seconds; helm waits 300 for its hooks
_PATIENCE = 15.0  # seconds for a launcher that is about to be ready
_EVERY = 0.2
_ALIVE = {JobState.PENDING, JobState.RUNNING}


class Refused(Exception):  # noqa: N818
    """The node does not leave; the message says why."""


class Leaving:
    """Whether the node leaves, and how it does.

    Args:
        uninstalled: whether the API server knows of an uninstallation that has begun; raises what the cluster raises.
        ending: seconds that algorithms have to end.
        telling: seconds after that for the server to be told.
    """

    def __init__(
        self, uninstalled: Callable[[], Awaitable[bool]], *, ending: float = _ENDING, telling: float = _TELLING
    ) -> None:
        self.begun = False
        """From then on no run is started."""
        self._uninstalled = uninstalled
        self._ending = ending
        self._telling = telling
        self._ended: set[int] = set()

    async def leave(self, reconciler: Reconciler) -> dict[str, Any]:
        """End what runs, and return when it ended and the server knows, or after some minutes.

        Runs that have no Job are left as they are: open at the server, for a node with the same key.

        Returns:
            Numbers of runs: those `ended`, those `running` still, and those that the server is `untold` of.

        Raises:
            Refused: nobody uninstalls it, or that can't be told.
        """
        # Whoever may make pods here could end the node's Jobs as well; whoever only reaches this port could not.
        try:
            asked = await self._uninstalled()
        except (ClusterUnavailable, ApiRefusal) as error:
            raise Refused(f"Whether the node is uninstalled can't be told: {error}") from error
        if not asked:
            raise Refused("Nobody uninstalls this node: there is no pod of `helm uninstall`.")
        if not self.begun:
            log.warning("the node is uninstalled: no more runs are taken, running ones are ended")
        self.begun = True
        await _until(lambda: not self._end(reconciler), self._ending)
        await _until(lambda: not self._untold(reconciler), self._telling)
        running = self._end(reconciler)
        return {"ended": sorted(self._ended), "running": running, "untold": self._untold(reconciler)}

    def _end(self, reconciler: Reconciler) -> list[int]:
        """Kill what runs; the runs whose Job is not gone, those included whose Job may be about to be made."""
        states = reconciler.states()
        alive = {run_id for run_id, (_, job) in states.items() if job in _ALIVE} - self._ended
        self._ended |= alive
        reconciler.killed(sorted(alive), SENTENCE)
        return sorted(run_id for run_id, (_, job) in states.items() if job in {*_ALIVE, JobState.DELETING})

    def _untold(self, reconciler: Reconciler) -> list[int]:
        return sorted(
            run_id
            for run_id, (server, job) in reconciler.states().items()
            if server is not ServerState.CLOSED and (run_id in self._ended or job is JobState.FINISHED)
        )


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110  nobody tells of all these states
        await asyncio.sleep(_EVERY)


def farewell(url: str, patience: float = _PATIENCE) -> str:
    """Have the launcher leave, and say in a sentence what came of it; a launcher that is not there is no obstacle.

    Args:
        url: of its status port.
        patience: seconds within which it has to be reached.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            told = ask(url, "leave", _ENDING + _TELLING + 10)
        except NoAnswer as error:
            if time.monotonic() > deadline:
                return f"{error} Runs that were open stay open at the server; what runs is ended all the same."
            time.sleep(1)
        else:
            return _summary(told)


def _summary(told: dict[str, Any]) -> str:
    sentences = [f"Runs that were ended: {_listed(told['ended'])}."]
    if told["running"]:
        sentences.append(f"Still ending: {_listed(told['running'])}.")
    if told["untold"]:
        untold = _listed(told["untold"])
        sentences.append(f"The server could not be told of {untold}; a node installed with this task volume tells it.")
    return " ".join(sentences)


def _listed(run_ids: list[int]) -> str:
    return ", ".join(map(str, run_ids)) or "none"
