"""`up`: from the configuration file of a vantage6 node to a node that is online, and the same again to change it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from launcher.admin import Failure, looking
from launcher.admin.cluster import POD, SELECTOR, Where, apply, connected, get, items, names
from launcher.admin.helm import RELEASE, Helm, chart
from launcher.admin.keys import ApiKeyChange
from launcher.admin.plan import (
    ENFORCE,
    RESTRICTED,
    NamespaceStep,
    Plan,
    namespace_step,
    only_machine,
    plan,
)
from launcher.admin.progress import Patience, Step, container_state, step
from launcher.admin.valuesfile import read_values
from launcher.kubeapi import ApiRefusal, KubeApi, Tree
from launcher.runs import PREFIX
from launcher.translate.findings import Finding, Site
from launcher.translate.node import translate
from launcher.translate.source import Unreadable, named_files, read

_LOOK_EVERY = 1.0
Say = Callable[[str], None]


class Up:
    """One `up`.

    Args:
        where: cluster and namespace of the node.
        say: told what was done, a line at a time.
        doing: told what is being done now.
    """

    def __init__(self, where: Where, say: Say, doing: Say) -> None:
        self._where = where
        self._say = say
        self._doing = doing

    async def run(
        self,
        file: Path,
        extra: Sequence[Path],
        *,
        chart_at: Path | None,
        node_name: str | None,
        seconds: float,
    ) -> None:
        """Bring the node into the cluster, and return when it is online.

        Args:
            file: the vantage6 configuration.
            extra: files with further values of the chart, the last of which win.
            chart_at: the chart; None: the one that came with this program.
            node_name: the machine that has the files of databases; None: the only one, if there is but one.
            seconds: for which the node may take to come online.

        Raises:
            Failure: it can't be done. Whatever was done stays, and another `up` goes on from there.
            ApiRefusal, ClusterUnavailable: likewise.
        """
        helm, folder = Helm(self._where), chart(chart_at)
        further = [read_values(each) for each in extra]
        async with connected(self._where) as api:
            self._doing("looking at the cluster")
            made = await self._plan(api, file, further, node_name)
            await self._namespace(api)
            change = await self._secrets(api, made.secrets)
            self._doing("installing the chart")
            await self._mend(api, helm)
            await helm.install(folder, made.values, extra)
            self._say(f"Release {RELEASE} is in namespace {self._where.namespace}.")
            if change:
                self._doing("the launcher logs in with the new key")
                await change.used()
            await self._start_anew(api)
            await self._online(api, seconds)

    async def _plan(self, api: KubeApi, file: Path, further: Sequence[Tree], node_name: str | None) -> Plan:
        try:
            source, part = read(file)
        except Unreadable as error:
            raise Failure(str(error)) from error
        if node_name is None:
            node_name = only_machine(await _machines(api))
        site = Site(node_name, self._where.namespace, secrets=True, files=named_files(source, file.parent))
        there = await _secrets(api, self._where)
        made = plan(translate(source, site), further, there)
        if part:
            self._say(f"{file.name}: the form of vantage6 3; what is below {part} is taken.")
        for finding in made.reported:
            self._say(f"{file.name}: {finding.line()}")
        if made.missing:
            raise Failure(unusable(file.name, made.missing))
        return made

    async def _namespace(self, api: KubeApi) -> None:
        name = self._where.namespace
        path = f"/api/v1/namespaces/{name}"
        there = await _readable(get(api, path), {})
        if there == {}:  # it may not be read, and so neither be made nor changed: what follows will tell
            return
        if there and there["metadata"].get("deletionTimestamp"):
            raise Failure(f"Namespace {name} is being deleted; wait until it is gone, or give another --namespace.")
        strangers = await _readable(_strangers(api, self._where), []) if there else []
        what, sentence = namespace_step(there, strangers or [])
        labels = {"metadata": {"name": name, "labels": {ENFORCE: RESTRICTED}}}
        if what is NamespaceStep.MAKE:
            await api.call("POST", "/api/v1/namespaces", body={"apiVersion": "v1", "kind": "Namespace", **labels})
            self._say(f'Namespace {name} is made, with the Pod Security Standard "{RESTRICTED}".')
        elif what is NamespaceStep.LABEL:
            try:
                await api.call("PATCH", path, body=labels, content_type="application/merge-patch+json")
            except ApiRefusal as refusal:
                sentence = f"Namespace {name} enforces no Pod Security Standard, and can't be labelled ({refusal})."
        if sentence:
            self._say(sentence)

    async def _secrets(self, api: KubeApi, secrets: Sequence[Tree]) -> ApiKeyChange | None:
        """Write the Secrets; the answer tells of the log-in, where a launcher is there and its key is another now."""
        change: ApiKeyChange | None = None
        for each in secrets:
            path = f"{self._where.core}/secrets"
            if "api_key" in each["data"]:
                there = await get(api, f"{path}/{each['metadata']['name']}")
                if there and (there.get("data") or {}).get("api_key") != each["data"]["api_key"]:
                    change = ApiKeyChange(api, self._where)
                    await change.begin()
            await apply(api, path, each)
        if secrets:
            self._say(f"Secrets written: {', '.join(names(secrets))}.")
        return change if change and change.answers else None

    async def _mend(self, api: KubeApi, helm: Helm) -> None:
        """Undo the note that keeps helm from going on after it was ended in the middle of an installation."""
        if not await helm.interrupted():
            return
        selector = f"owner=helm,name={RELEASE},status in (pending-install,pending-upgrade,pending-rollback)"
        for note in await items(api, f"{self._where.core}/secrets", labelSelector=selector):
            await api.call("DELETE", f"{self._where.core}/secrets/{note['metadata']['name']}")
        self._say("An earlier installation was interrupted; this one takes its place.")

    async def _start_anew(self, api: KubeApi) -> None:
        """Have a launcher that keeps ending start now: what it said may be mended, and the next try minutes away."""
        path = f"{self._where.core}/pods/{POD}"
        pod = await get(api, path)
        waiting = (container_state(pod, "launcher") if pod else {}).get("waiting") or {}
        if waiting.get("reason") == "CrashLoopBackOff":
            await api.call("DELETE", path)

    async def _online(self, api: KubeApi, seconds: float) -> None:
        """Return when the node is online.

        Raises:
            Failure: something keeps it, which does not pass by itself, or time is up.
        """
        patience, began = Patience(), time.monotonic()
        while True:
            now = step(await looking.seen(api, self._where))
            if now.online:
                return
            self._doing(now.phase)
            clock = time.monotonic()
            if patience.exhausted(now.trouble, clock) or clock - began > seconds:
                raise Failure(self._why(now, clock - began))
            await asyncio.sleep(_LOOK_EVERY)

    def _why(self, now: Step, seconds: float) -> str:
        if now.trouble:
            return f"The node is installed, but not online: {now.trouble.sentence}"
        return (
            f"The node is installed, but after {seconds:.0f} seconds not online yet ({now.phase}); "
            f"`v6-node status -n {self._where.namespace}` tells how it goes on."
        )


def unusable(name: str, missing: Sequence[Finding]) -> str:
    """Why a configuration can't be installed as it is: what has to be filled in."""
    what = "; ".join(f"{', '.join(each.keys)} {each.value}".rstrip() + f": {each.sentence}" for each in missing)
    return f"{name} can't be installed as it is. {what}. Correct it there, or give the values in a file with -f."


async def _readable(reading: Any, otherwise: Any) -> Any:
    try:
        return await reading
    except ApiRefusal as refusal:
        if refusal.status == 403:
            return otherwise
        raise


async def _machines(api: KubeApi) -> list[Tree]:
    return list(await _readable(items(api, "/api/v1/nodes"), []))


async def _secrets(api: KubeApi, where: Where) -> list[str]:
    return names(await _readable(items(api, f"{where.core}/secrets"), []))


async def _strangers(api: KubeApi, where: Where) -> list[str]:
    ours = names(await items(api, f"{where.core}/pods", labelSelector=SELECTOR))
    pods = await items(api, f"{where.core}/pods")
    of_runs = [pod for pod in pods if f"{PREFIX}/role" in (pod["metadata"].get("labels") or {})]
    return [name for name in names(pods) if name not in {*ours, *names(of_runs)}]
