"""The doctor's Jobs: made, waited for, and removed with everything else that was made, whatever happens."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Iterable, Sequence

from launcher.admin.cluster import Where, get, items
from launcher.admin.progress import Patience, container_state
from launcher.doctor.probes import (
    CLOSED,
    CONTAINER,
    FREE,
    HOLDER,
    OPEN,
    PART,
    SELECTOR,
    SHUT,
    VOLUME,
    Maker,
)
from launcher.doctor.traces import delete, holder, path_of, surely
from launcher.doctor.tried import Tried
from launcher.doctor.wishes import Wishes
from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi, Tree

_LOOK_EVERY = 1.0
_ROUND = 150.0  # seconds that a round of pods may take, their images being on the way
_ACCOUNT_WITHIN = 15.0
_GONE_WITHIN = 90.0


class Trial:
    """One examination by pods.

    Args:
        api: the API server.
        where: the node's namespace.
        wishes: of the values.
        own: whether to make a namespace for it; else it is in the node's.
        doing: told what is being done.
    """

    def __init__(self, api: KubeApi, where: Where, wishes: Wishes, *, own: bool, doing: Callable[[str], None]) -> None:
        name = f"v6-node-doctor-{secrets.token_hex(3)}"
        self._api = api
        self._own = own
        self._node = where.namespace
        self._namespace = name if own else where.namespace
        self._maker = Maker(name, self._namespace, holder(), wishes)
        self._wishes = wishes
        self._doing = doing
        self._jobs: dict[str, Tree] = {}
        self._refused: dict[str, str] = {}
        self._volumes: set[str] = set()
        self._made: list[str] = []
        self.left = ""
        """Why something is still there; empty if nothing is."""

    async def run(self, key: str, authority: str, *, volume: bool) -> Tried:
        """Have everything tried, and leave nothing behind.

        Args:
            key: the node's API key; empty: none is tried.
            authority: PEM of the server's authority; empty: the system's.
            volume: whether a volume may be made.

        Raises:
            ApiRefusal, ClusterUnavailable: it can't be.
        """
        try:
            return await self._run(key, authority, volume=volume)
        finally:
            if self._made:
                self._doing("removing what was made for it")
                try:
                    await surely(self.remove())
                except (ApiRefusal, ClusterUnavailable) as error:  # what was found is told all the same
                    self.left = str(error)

    async def _run(self, key: str, authority: str, *, volume: bool) -> Tried:
        maker = self._maker
        if self._own:
            self._doing("making a namespace for a moment")
            await self._post("/api/v1/namespaces", maker.own_namespace())
            await self._account()
            await self._copy_pull_secrets()
        await self._make("secrets", maker.secret(key, authority))
        for policy in maker.policies():
            await self._make("networkpolicies", policy)
        first = [maker.listener(OPEN), maker.listener(CLOSED)]
        first += [maker.puller(image) for image in self._wishes.images[2:]]
        if volume:
            try:
                await self._make("persistentvolumeclaims", maker.claim())
                first.append(maker.writer())
            except ApiRefusal as refusal:
                self._refused[VOLUME] = str(refusal)
        self._doing("starting pods")
        await self._start(first)
        seen = await self._until(_listens, (OPEN, CLOSED))
        targets = {part: _addresses(seen.pods.get(part)) for part in (OPEN, CLOSED)}
        self._doing("trying policies, names and the server")
        await self._start([maker.free(targets, key=bool(key), authority=bool(authority)), maker.shut(targets)])
        parts = [FREE, SHUT, *([VOLUME] if volume else []), *self._pullers]
        return await self._until(_ended, parts)

    @property
    def _pullers(self) -> list[str]:
        return [self._maker.puller(image)["metadata"]["labels"][PART] for image in self._wishes.images[2:]]

    async def _account(self) -> None:
        """Wait for the service account that a new namespace gets a moment later, and without which it gets no pods."""
        place = f"{path_of('serviceaccounts', self._namespace)}/default"
        deadline = time.monotonic() + _ACCOUNT_WITHIN
        with contextlib.suppress(ApiRefusal):  # whoever may not look tries without
            while await get(self._api, place) is None:
                if time.monotonic() > deadline:
                    return
                await asyncio.sleep(_LOOK_EVERY / 2)

    async def _copy_pull_secrets(self) -> None:
        for name in self._wishes.pull_secrets:
            try:
                found = await get(self._api, f"{path_of('secrets', self._node)}/{name}")
            except ApiRefusal:
                continue
            if found:
                meta = {**self._maker.meta(), "name": name}
                await self._make("secrets", {key: found[key] for key in ("type", "data")} | {"metadata": meta})

    async def _make(self, kind: str, thing: Tree) -> Tree:
        return await self._post(path_of(kind, self._namespace), thing)

    async def _post(self, path: str, thing: Tree) -> Tree:
        place = f"{path}/{thing['metadata']['name']}"
        self._made.append(place)  # it may be made also where no answer comes
        try:
            return await self._api.call("POST", path, body=thing)
        except ApiRefusal:
            self._made.remove(place)
            raise

    async def _start(self, jobs: Iterable[Tree]) -> None:
        """Make Jobs; one that is refused is noted, and the others are made."""
        for job in jobs:
            part = job["metadata"]["labels"][PART]
            try:
                self._jobs[part] = await self._make("jobs", job)
            except ApiRefusal as refusal:
                self._refused[part] = str(refusal)

    async def _until(self, done: Callable[[Tree | None], bool], parts: Sequence[str]) -> Tried:
        """What the pods are like when they are done, when no more is to be expected of them, or when time is up."""
        patience = {part: Patience() for part in parts}
        deadline = time.monotonic() + _ROUND
        while True:
            pods, events = await asyncio.gather(
                items(self._api, path_of("pods", self._namespace), labelSelector=SELECTOR),
                self._events(),
            )
            by_part = {pod["metadata"]["labels"][PART]: pod for pod in pods if self._is_mine(pod)}
            tried = Tried(by_part, events, dict(self._refused), dict(self._jobs))
            await self._note_volume()
            now = time.monotonic()
            left = [
                part
                for part in parts
                if part not in self._refused
                and not done(by_part.get(part))
                and not patience[part].exhausted(tried.kept(part), now)
            ]
            if not left or now > deadline:
                return tried
            await asyncio.sleep(_LOOK_EVERY)

    def _is_mine(self, pod: Tree) -> bool:
        return (pod["metadata"].get("annotations") or {}).get(HOLDER) == holder()

    async def _events(self) -> list[Tree]:
        try:
            return await items(self._api, f"/api/v1/namespaces/{self._namespace}/events")
        except ApiRefusal:
            return []

    async def _note_volume(self) -> None:
        """Remember the volume behind the claim, which goes a moment after it."""
        name = self._maker.meta(VOLUME)["name"]
        with contextlib.suppress(ApiRefusal):
            claim = await get(self._api, f"{path_of('persistentvolumeclaims', self._namespace)}/{name}")
            if claim and (volume := (claim.get("spec") or {}).get("volumeName")):
                self._volumes.add(volume)

    async def remove(self) -> None:
        """Delete everything that was made, and wait until it is gone.

        Raises:
            ApiRefusal, ClusterUnavailable: something is left; the next doctor removes it.
        """
        for place in reversed(self._made):
            await delete(self._api, place)
        # With its namespace goes all that is in it.
        places = self._made[:1] if self._own else self._made
        places = [*places, *(f"/api/v1/persistentvolumes/{name}" for name in self._volumes)]
        deadline = time.monotonic() + _GONE_WITHIN
        for place in places:
            while await self._is_there(place):
                if time.monotonic() > deadline:
                    raise ClusterUnavailable(f"{place} is deleted, but not gone after {_GONE_WITHIN:.0f} seconds")
                await asyncio.sleep(_LOOK_EVERY)

    async def _is_there(self, place: str) -> bool:
        try:
            return await get(self._api, place) is not None
        except ApiRefusal:  # it may be made and deleted, but not looked at
            return False


def _ended(pod: Tree | None) -> bool:
    return "terminated" in container_state(pod or {}, CONTAINER) or (pod or {}).get("status", {}).get("phase") in {
        "Succeeded",
        "Failed",
    }


def _listens(pod: Tree | None) -> bool:
    return "running" in container_state(pod or {}, CONTAINER) and bool(_addresses(pod))


def _addresses(pod: Tree | None) -> list[str]:
    status = (pod or {}).get("status") or {}
    found = [each["ip"] for each in status.get("podIPs") or ()] or [status.get("podIP")]
    return [each for each in found if each]
