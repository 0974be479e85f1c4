"""The last warning on each run's Job and pod: Kubernetes' Events, of which as little as possible is kept.

Events can be many, and big ones too: the API server selects, and of what remains one short one for each run is kept.
"""

import re
from collections.abc import Callable, Sequence

from launcher.kubeapi import KubeApi, Tree
from launcher.mirror import Mirror
from launcher.waiting import Trouble

# Warnings that say nothing which the pod's own status does not, or nothing of an algorithm.
_KNOWN_FROM_STATUS = ("FailedScheduling", "BackOff", "Unhealthy")
_OF_A_RUN = re.compile(r"run-([0-9]{1,18})(-[a-z0-9]+)?")
_LONGEST_MESSAGE = 1024
_MOST = 10_000


class Troubles:
    """What went wrong lately with the runs' Jobs and pods.

    Args:
        api: the API server.
        path: of the namespace's Events.
        changed: told the id of a run when there is news.
    """

    def __init__(self, api: KubeApi, path: str, changed: Callable[[int], None]) -> None:
        fields = ",".join(["type=Warning", *(f"reason!={reason}" for reason in _KNOWN_FROM_STATUS)])
        self._changed = changed
        self._mirror = Mirror(api, path, self._heard, key=_run_id, fields=fields, shorten=_shorten)

    async def follow(self) -> None:
        """Keep what is known current, for ever."""
        await self._mirror.follow()

    def of_run(self, run_id: int) -> Trouble | None:
        """The last warning on a run's Job or pod."""
        event = self._mirror.seen.get(run_id)
        return None if event is None else Trouble(event["about"], event["reason"], event["message"])

    def forget(self, run_id: int) -> None:
        """Drop what is known of a run whose Job is gone."""
        self._mirror.seen.pop(run_id, None)

    def _heard(self, run_id: int) -> None:
        # Of Jobs that went while nobody looked there may be warnings that nobody will ask for.
        seen = self._mirror.seen
        while len(seen) > _MOST:
            del seen[next(iter(seen))]
        self._changed(run_id)


def last_warning(warnings: Sequence[Tree]) -> Trouble | None:
    """The last of these Events, None if there is none."""
    if not warnings:
        return None
    last = max(warnings, key=lambda event: str(event.get("lastTimestamp") or event["metadata"]["creationTimestamp"]))
    return Trouble(last["involvedObject"]["uid"], last.get("reason") or "", last.get("message") or "")


def _shorten(event: Tree) -> Tree | None:
    """What is kept of an Event, or None if it is not of a run's Job or pod."""
    about = event.get("involvedObject") or {}
    message = str(event.get("message") or "")
    if about.get("kind") not in {"Job", "Pod"} or not _OF_A_RUN.fullmatch(about.get("name") or ""):
        return None
    # Kubelet tells a failed pull twice; the second time without a reason.
    if event.get("reason") == "Failed" and message.startswith("Error: "):
        return None
    metadata = event["metadata"]
    return {
        "metadata": {key: metadata.get(key) for key in ("name", "uid", "creationTimestamp")},
        "run": about["name"],
        "about": str(about.get("uid")),
        "reason": str(event.get("reason")),
        "message": message[:_LONGEST_MESSAGE],
    }


def _run_id(short: Tree) -> int:
    found = _OF_A_RUN.fullmatch(short["run"])
    assert found is not None
    return int(found[1])
