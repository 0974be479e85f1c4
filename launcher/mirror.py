"""The objects of one kind, kept current: listed, then watched, listed again when a watch breaks.

A watch that merely ends in its time goes on where it was, so that nobody lists thousands of objects while nothing
happens: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import orjson

from launcher.backoff import Backoff
from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi, Tree
from launcher.runs import PREFIX

log = logging.getLogger(__name__)

RUN_ID = f"{PREFIX}/run-id"
_FIRST_DELAY, _LONGEST_DELAY = 0.2, 30.0
# The API server ends a watch after so many seconds, so that a dead connection does not go unnoticed for ever.
_WATCH_SECONDS = 300
_PAGE = 500

Key = TypeVar("Key", bound=Hashable)


class Mirror(Generic[Key]):
    """What objects of a kind there are, by a key.

    Args:
        api: the API server.
        path: of the collection, e.g. `/apis/batch/v1/namespaces/x/jobs`.
        changed: told the key of every object that came, changed or went.
        key: what an object is known by, e.g. `run_id`.
        selector: which labels objects have; empty for all.
        fields: which fields objects have; empty for all.
        shorten: makes of an object what is kept of it; None if it is to be ignored.
    """

    def __init__(
        self,
        api: KubeApi,
        path: str,
        changed: Callable[[Key], None],
        *,
        key: Callable[[Tree], Key],
        selector: str = "",
        fields: str = "",
        shorten: Callable[[Tree], Tree | None] = lambda item: item,
    ) -> None:
        self.seen: dict[Key, Tree] = {}
        self.current = asyncio.Event()
        self._api = api
        self._path = path
        self._changed = changed
        self._key = key
        self._shorten = shorten
        self._query = {name: text for name, text in (("labelSelector", selector), ("fieldSelector", fields)) if text}

    def keep(self, whole: Tree) -> Tree | None:
        """Take note of an object as the API server answered it, and return what is kept of it, if anything is."""
        item = self._shorten(whole)
        return None if item is None else self._take(item)

    def renew(self, whole: Tree) -> None:
        """Take note of an object as the API server answered it, unless it was seen to be gone meanwhile."""
        item = self._shorten(whole)
        if item is not None and _uid(self.seen.get(self._key(item))) == _uid(item):
            self._take(item)

    def _take(self, item: Tree) -> Tree:
        item["metadata"].pop("managedFields", None)
        self.seen[self._key(item)] = item
        return item

    async def follow(self) -> None:
        """Keep `seen` current, for ever."""
        retry = Backoff(_FIRST_DELAY, _LONGEST_DELAY)
        while True:
            try:
                version = await self._list()
                retry.succeeded()
                while True:
                    version = await self._watch_from(version)
            except (ClusterUnavailable, ApiRefusal) as error:
                delay = retry.failed(error)
                fields = {"path": self._path, "reason": str(error)[:300], "seconds": delay}
                log.warning("a watch broke; listing again", extra={"fields": fields})
                await asyncio.sleep(delay)

    async def _list(self) -> str:
        before = {key: item["metadata"]["uid"] for key, item in self.seen.items()}
        items, version = await self._list_items()
        found = {self._key(item): item for item in sorted(items, key=_created)}
        for key, uid in before.items():
            # Only what was known before the list was asked for can be said to be gone by it.
            if key not in found and _uid(self.seen.get(key)) == uid:
                del self.seen[key]
        for item in found.values():
            self._take(item)
        self.current.set()
        for key in before.keys() | found.keys():
            self._changed(key)
        return version

    async def _list_items(self) -> tuple[list[Tree], str]:
        """What is kept of all objects, and the version of the list; a page at a time, for there may be many."""
        items: list[Tree] = []
        query: dict[str, str | int] = {**self._query, "limit": _PAGE}
        while True:
            page = await self._api.call("GET", self._path, query)
            items += [kept for item in page["items"] if (kept := self._shorten(item)) is not None]
            if not (token := page["metadata"].get("continue")):
                return items, str(page["metadata"]["resourceVersion"])
            query["continue"] = token

    async def _watch_from(self, version: str) -> str:
        """Take note of what changes, until the API server ends the watch; returns up to which version that was."""
        asked = {"resourceVersion": version, "watch": "true", "allowWatchBookmarks": "true"}
        query = {**self._query, **asked, "timeoutSeconds": _WATCH_SECONDS}
        async for line in self._api.lines(self._path, query):
            event = orjson.loads(line)
            if event["type"] == "ERROR":  # e.g. 410 Gone: the version is too old
                raise ApiRefusal(event["object"].get("code", 0), str(event["object"].get("message")))
            version = str(event["object"]["metadata"]["resourceVersion"])
            if event["type"] != "BOOKMARK":
                self._apply(event["type"], event["object"])
        return version

    def _apply(self, kind: str, seen: Tree) -> None:
        if (item := self._shorten(seen)) is None:
            return
        key = self._key(item)
        if kind == "DELETED":
            # What took its place may have been seen already.
            if _uid(self.seen.get(key)) == _uid(item):
                del self.seen[key]
        elif item == self.seen.get(key):
            return  # what changed is not kept
        else:
            self._take(item)
        self._changed(key)


def run_id(item: Tree) -> int:
    """The run that an object belongs to, by its label; -1 if that is no number."""
    text = item["metadata"]["labels"][RUN_ID]
    return int(text) if text.isdecimal() else -1


def name(item: Tree) -> str:
    """The name of an object."""
    return str(item["metadata"]["name"])


def _uid(item: Tree | None) -> str | None:
    return None if item is None else str(item["metadata"]["uid"])


def _created(item: Tree) -> str:
    return str(item["metadata"]["creationTimestamp"])
