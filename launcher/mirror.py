"""The objects of one kind that belong to runs, kept current: listed, then watched, listed again when a watch breaks."""

import asyncio
import json
import logging
from collections.abc import Callable

from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi, Tree
from launcher.runs import PREFIX

log = logging.getLogger(__name__)

RUN_ID = f"{PREFIX}/run-id"
_FIRST_DELAY, _LONGEST_DELAY = 0.2, 30.0
# The API server ends a watch after so many seconds, so that a dead connection does not go unnoticed for ever.
_WATCH_SECONDS = 300


class Mirror:
    """What objects of a kind there are, by run id.

    Args:
        api: the API server.
        path: of the collection, e.g. `/apis/batch/v1/namespaces/x/jobs`.
        changed: told the run id of every object that came, changed or went.
    """

    def __init__(self, api: KubeApi, path: str, changed: Callable[[int], None]) -> None:
        self.seen: dict[int, Tree] = {}
        self.current = asyncio.Event()
        self._api = api
        self._path = path
        self._changed = changed

    def keep(self, item: Tree) -> Tree:
        """Take note of an object, and return it."""
        item["metadata"].pop("managedFields", None)
        self.seen[_run_id(item)] = item
        return item

    async def follow(self) -> None:
        """Keep `seen` current, for ever."""
        delay = _FIRST_DELAY
        while True:
            try:
                version = await self._list()
                delay = _FIRST_DELAY
                await self._watch_from(version)
            except (ClusterUnavailable, ApiRefusal) as error:
                fields = {"path": self._path, "reason": str(error)[:300], "seconds": delay}
                log.warning("a watch broke; listing again", extra={"fields": fields})
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LONGEST_DELAY)

    async def _list(self) -> str:
        before = {run_id: item["metadata"]["uid"] for run_id, item in self.seen.items()}
        listing = await self._api.call("GET", self._path, {"labelSelector": RUN_ID})
        found = {_run_id(item): item for item in sorted(listing["items"], key=_created)}
        for run_id, uid in before.items():
            # Only what was known before the list was asked for can be said to be gone by it.
            if run_id not in found and _uid(self.seen.get(run_id)) == uid:
                del self.seen[run_id]
        for item in found.values():
            self.keep(item)
        self.current.set()
        for run_id in before.keys() | found.keys():
            self._changed(run_id)
        return str(listing["metadata"]["resourceVersion"])

    async def _watch_from(self, version: str) -> None:
        query = {
            "labelSelector": RUN_ID,
            "resourceVersion": version,
            "watch": "true",
            "timeoutSeconds": _WATCH_SECONDS,
        }
        async for line in self._api.lines(self._path, query):
            event = json.loads(line)
            if event["type"] == "ERROR":  # e.g. 410 Gone: the version is too old
                raise ApiRefusal(event["object"].get("code", 0), str(event["object"].get("message")))
            self._apply(event["type"], event["object"])

    def _apply(self, kind: str, item: Tree) -> None:
        run_id = _run_id(item)
        if kind == "DELETED":
            # What took its place may have been seen already.
            if _uid(self.seen.get(run_id)) == _uid(item):
                del self.seen[run_id]
        else:
            self.keep(item)
        self._changed(run_id)


def _run_id(item: Tree) -> int:
    text = item["metadata"]["labels"][RUN_ID]
    return int(text) if text.isdecimal() else -1


def _uid(item: Tree | None) -> str | None:
    return None if item is None else str(item["metadata"]["uid"])


def _created(item: Tree) -> str:
    return str(item["metadata"]["creationTimestamp"])
