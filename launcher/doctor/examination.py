"""The whole examination: everything is read, then tried, and each finding is told as soon as it is there."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from launcher.admin.cluster import LAUNCHER, Where, get, items
from launcher.doctor import clusterfacts, inside, quotas, rights, verdicts, volumes
from launcher.doctor.findings import Finding, fail, warn
from launcher.doctor.given import authority_in, place_for_trial
from launcher.doctor.policyverdict import policies
from launcher.doctor.probes import FREE, OPEN, Maker
from launcher.doctor.traces import holder, path_of, sweep
from launcher.doctor.trial import Trial
from launcher.doctor.tried import Tried, admission, images
from launcher.doctor.wishes import Wishes, key_in
from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi, Tree
from launcher.networkpolicies import matches
from launcher.render.dryrun import pod_of

Tell = Callable[[Finding], None]
_AT_ONCE = 8


class Examination:
    """One examination of a cluster.

    Args:
        api: the API server.
        where: the namespace that the node is, or will be, in.
        wishes: of the values.
        tell: told each finding.
        doing: told what is being done.
    """

    def __init__(self, api: KubeApi, where: Where, wishes: Wishes, tell: Tell, doing: Callable[[str], None]) -> None:
        self._api = api
        self._where = where
        self._wishes = wishes
        self._tell = tell
        self._doing = doing
        self._namespace: Tree | None = None

    async def run(self) -> None:
        """Examine.

        Raises:
            ClusterUnavailable: the API server does not answer.
        """
        self._doing("looking at the cluster")
        self._tell(clusterfacts.kubernetes_version(await self._api.call("GET", "/version")))
        await sweep(self._api, self._where.namespace)
        self._namespace = await self._read(
            "namespace", get(self._api, f"/api/v1/namespaces/{self._where.namespace}"), {}
        )
        answers = await self._rights()
        await self._facts()
        await self._try(answers)

    async def _read(self, check: str, reading: Awaitable[Any], otherwise: Any) -> Any:
        """What may be read; else it is told that it may not."""
        try:
            return await reading
        except ApiRefusal as refusal:
            remedy = "have the cluster's administrator ask the doctor, or grant you to read it"
            self._tell(warn(check, f"Not looked at: {refusal}.", remedy))
            return otherwise

    async def _rights(self) -> dict[rights.Right, bool]:
        asked = [
            *rights.wanted(self._wishes, namespace_there=self._namespace is not None),
            *(rights.Right(verb, "", "namespaces", "try", everywhere=True) for verb in ("create", "delete")),
        ]
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def ask(right: rights.Right) -> bool:
            async with at_once:
                path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
                answer = await self._api.call("POST", path, body=rights.review(right, self._where.namespace))
                return bool((answer.get("status") or {}).get("allowed"))

        answers = dict(zip(asked, await asyncio.gather(*(ask(right) for right in asked)), strict=True))
        for finding in rights.judge(answers, self._where.namespace):
            self._tell(finding)
        return answers

    async def _facts(self) -> None:
        """What the objects of the cluster say."""
        name, namespace, wishes = self._where.namespace, self._namespace, self._wishes
        if namespace != {}:
            self._tell(clusterfacts.pod_security(namespace, name))
        here = self._where
        machines, classes, runtimes, priorities, claims, hard, limits, launcher = await asyncio.gather(
            self._read("gpus", items(self._api, "/api/v1/nodes"), None),
            self._read("storage", items(self._api, "/apis/storage.k8s.io/v1/storageclasses"), None),
            self._read("runtimes", items(self._api, "/apis/node.k8s.io/v1/runtimeclasses"), None),
            self._read("priorities", items(self._api, "/apis/scheduling.k8s.io/v1/priorityclasses"), None),
            self._read("storage", items(self._api, f"{here.core}/persistentvolumeclaims"), None),
            self._read("quota", items(self._api, f"{here.core}/resourcequotas"), None),
            self._read("quota", items(self._api, f"{here.core}/limitranges"), None),
            self._read("node", get(self._api, here.path("apps/v1", f"statefulsets/{LAUNCHER}")), None),
        )
        found: list[Finding | None] = [clusterfacts.installed(launcher, name)]
        if classes is not None and claims is not None:
            found += volumes.storage(wishes, classes, claims, len(machines) if machines is not None else None)
        if runtimes is not None:
            found.append(clusterfacts.runtime_classes(wishes, runtimes))
        if priorities is not None:
            found += clusterfacts.priority_classes(wishes, priorities)
        if machines is not None:
            found += [clusterfacts.gpus(machines), *clusterfacts.claims(wishes, machines)]
        if hard is not None and limits is not None:
            found += quotas.quota(wishes, hard, limits)
        found.append(await self._dns())
        for finding in found:
            if finding:
                self._tell(finding)

    async def _dns(self) -> Finding | None:
        selector = self._wishes.dns.get("namespaceSelector") or {}
        namespaces = await self._read("dns", items(self._api, "/api/v1/namespaces"), None)
        if namespaces is None:
            return None
        chosen = [
            each for each in namespaces if matches({"matchLabels": selector}, each["metadata"].get("labels") or {})
        ]
        pods: list[Tree] = []
        for each in chosen:
            pods += await self._read("dns", items(self._api, f"/api/v1/namespaces/{each['metadata']['name']}/pods"), [])
        return clusterfacts.dns_pods(self._wishes, pods, chosen)

    # What is tried

    async def _try(self, answers: Mapping[rights.Right, bool]) -> None:
        may_make = all(allowed for right, allowed in answers.items() if right.why == "try")
        present = self._namespace if self._namespace != {} else None
        strangers = [] if present is None else await self._read("network policies", self._policies(), [])
        place = place_for_trial(may_make=may_make, namespace=present, strangers=strangers, name=self._where.namespace)
        key, authority = await self._secrets()
        tried, why = Tried(), place.why_not
        if not why:
            trial = Trial(self._api, self._where, self._wishes, own=place.own, doing=self._doing)
            try:
                tried = await trial.run(key, authority, volume=await self._may_try_volume())
            except (ApiRefusal, ClusterUnavailable) as error:
                why = str(error)
            if trial.left:
                remedy = "ask again: the next doctor removes it"
                self._tell(warn("traces", f"Not everything that was made could be removed: {trial.left}.", remedy))
        if present is not None:
            self._tell(admission(await self._rehearse(), self._where.namespace))
        if why:
            tried = Tried(refused=dict.fromkeys((OPEN, FREE), why))
        await self._judge(tried, key, authority)

    async def _policies(self) -> list[Tree]:
        return await items(self._api, path_of("networkpolicies", self._where.namespace))

    async def _secrets(self) -> tuple[str, str]:
        """The API key and the server's own authority, as far as the values or Secrets that they name have them."""
        wishes, core = self._wishes, self._where.core
        key, authority = wishes.api_key, wishes.authority
        if not key and wishes.key_secret:
            secret = await self._read("api key", get(self._api, f"{core}/secrets/{wishes.key_secret}"), {})
            if secret is None:
                self._tell(
                    fail("api key", f"There is no Secret {wishes.key_secret}.", "`v6-node set-api-key` makes it")
                )
            key = key_in(secret)
        if not authority and wishes.authority_elsewhere:
            kind, name, entry = wishes.authority_elsewhere
            there = await self._read("server", get(self._api, f"{core}/{kind}/{name}"), None)
            authority = authority_in(there, kind, entry)
        return key, authority

    async def _may_try_volume(self) -> bool:
        """Whether a volume can be made and goes again: not one that its class retains."""
        storage = self._wishes.storage
        if storage.get("existingClaim") or storage.get("storageClassName") == "":
            return False
        try:
            classes = await items(self._api, "/apis/storage.k8s.io/v1/storageclasses")
        except ApiRefusal:
            return False
        chosen = volumes.storage_class(self._wishes, classes)
        return chosen is not None and chosen.get("reclaimPolicy", "Delete") == "Delete"

    async def _rehearse(self) -> str | None:
        """The API server's words where it would not take a pod like the node's; None if it would."""
        maker = Maker("v6-node-doctor-rehearsal", self._where.namespace, holder(), self._wishes)
        try:
            path = path_of("pods", self._where.namespace)
            await self._api.call("POST", path, {"dryRun": "All"}, pod_of(maker.listener(OPEN)))
        except ApiRefusal as refusal:
            return str(refusal)
        return None

    async def _judge(self, tried: Tried, key: str, authority: str) -> None:
        wishes = self._wishes
        self._tell(policies(tried))
        for finding in [*images(wishes, tried), *verdicts.volume(tried), *verdicts.names(tried, wishes)]:
            self._tell(finding)
        answer: Tree | None = tried.answer(FREE).get("server")
        if not wishes.server:
            remedy = "give the values with -f"
            self._tell(warn("server", "No server was given, so none was asked.", remedy))
        elif answer is not None:
            for finding in verdicts.server(answer, wishes):
                self._tell(finding)
        else:
            self._doing("asking the server from this machine")
            answer = await asyncio.to_thread(inside.ask, wishes.server, key, authority)
            for finding in verdicts.server(answer, wishes, here=tried.trouble(FREE)):
                self._tell(finding)
        for finding in verdicts.clocks(tried, await self._ahead()):
            self._tell(finding)

    async def _ahead(self) -> float | None:
        """Seconds by which this machine's clock is ahead of the API server's."""
        try:
            before = datetime.now(UTC)
            told = await self._api.clock()
            return (before - told).total_seconds()
        except (ClusterUnavailable, ApiRefusal):
            return None
