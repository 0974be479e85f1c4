"""Reads what there is of a node; what may not be read is left out, and said."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from launcher.admin.asking import told
from launcher.admin.cluster import LAUNCHER, SELECTOR, Where, get, items
from launcher.admin.nodestate import RUN_ID, Found
from launcher.admin.progress import Seen
from launcher.kubeapi import ApiRefusal, KubeApi


async def seen(api: KubeApi, where: Where) -> Seen:
    """What tells how far a node has come.

    Raises:
        ApiRefusal: its objects may not be read.
        ClusterUnavailable: the API server does not answer.
    """
    statefulset, pods, events = await asyncio.gather(
        get(api, where.path("apps/v1", f"statefulsets/{LAUNCHER}")),
        items(api, f"{where.core}/pods", labelSelector=SELECTOR),
        items(api, f"{where.core}/events"),
    )
    now = Seen(statefulset, pods, events)
    if any(_runs(pod) for pod in pods):
        now = Seen(statefulset, pods, events, (await told(api, where))[0])
    return now


def _runs(pod: Any) -> bool:
    return any(
        status["name"] == "launcher" and "running" in (status.get("state") or {})
        for status in (pod.get("status") or {}).get("containerStatuses") or ()
    )


async def look(api: KubeApi, where: Where) -> Found:
    """Everything about a node.

    Raises:
        ClusterUnavailable: the API server does not answer.
    """
    unread: dict[str, str] = {}

    async def read(what: str, reading: Awaitable[Any], otherwise: Any) -> Any:
        try:
            return await reading
        except ApiRefusal as refusal:
            unread[what] = str(refusal)
            return otherwise

    statefulset, pods, events, config, jobs, job_pods = await asyncio.gather(
        read("the launcher", get(api, where.path("apps/v1", f"statefulsets/{LAUNCHER}")), None),
        read("pods", items(api, f"{where.core}/pods", labelSelector=SELECTOR), []),
        read("events", items(api, f"{where.core}/events"), []),
        read("the configuration", get(api, f"{where.core}/configmaps/v6-node-config"), None),
        read("jobs", items(api, where.path("batch/v1", "jobs"), labelSelector=RUN_ID), []),
        read("pods of runs", items(api, f"{where.core}/pods", labelSelector=RUN_ID), []),
    )
    answer = None
    if any(_runs(pod) for pod in pods):
        answer, why = await told(api, where)
        if answer is None:
            unread["the launcher's own status"] = why
    return Found(Seen(statefulset, pods, events, answer), config, jobs, job_pods, unread)
