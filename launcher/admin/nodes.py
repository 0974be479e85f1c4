"""`list`: the nodes of the cluster, as far as one may see them."""

import asyncio
from typing import Any

from launcher.admin.cluster import SELECTOR, Where, items, names
from launcher.admin.looking import look
from launcher.admin.nodestate import state
from launcher.kubeapi import ApiRefusal, KubeApi

_LAUNCHERS = f"{SELECTOR},app.kubernetes.io/component=launcher"


async def nodes(api: KubeApi, where: Where) -> tuple[list[dict[str, Any]], str]:
    """The state of each node, by namespace; and a sentence on where one could not look, or nothing.

    Args:
        api: the API server.
        where: the cluster; its namespace is looked into if no other may be.
    """
    namespaces, remark = await _namespaces(api, where)
    places = [Where(name, where.context, where.kubeconfig) for name in namespaces]
    found = await asyncio.gather(*(look(api, place) for place in places))
    return [state(place.namespace, each) for place, each in zip(places, found, strict=True)], remark


async def _namespaces(api: KubeApi, where: Where) -> tuple[list[str], str]:
    try:
        there = await items(api, "/apis/apps/v1/statefulsets", labelSelector=_LAUNCHERS)
        return sorted({each["metadata"]["namespace"] for each in there}), ""
    except ApiRefusal as refusal:
        if refusal.status != 403:
            raise
    try:
        candidates = names(await items(api, "/api/v1/namespaces"))
    except ApiRefusal:
        candidates = [where.namespace]
    answers = dict(zip(candidates, await asyncio.gather(*(_has_node(api, each) for each in candidates)), strict=True))
    refused = [name for name, answer in answers.items() if answer is None]
    remark = (
        "The nodes of the whole cluster may not be listed with this kubeconfig; "
        f"{len(candidates)} namespaces were tried, and {len(refused)} of them may not be read."
    )
    return sorted(name for name, answer in answers.items() if answer), remark


async def _has_node(api: KubeApi, namespace: str) -> bool | None:
    try:
        path = f"/apis/apps/v1/namespaces/{namespace}/statefulsets"
        return bool(await items(api, path, labelSelector=_LAUNCHERS))
    except ApiRefusal:
        return None
