"""What doctors leave in the cluster for a moment: found again, and removed, also after one that was ended by force."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from launcher.admin.cluster import items
from launcher.doctor.probes import HOLDER, LONGEST_SECONDS, SELECTOR
from launcher.kubeapi import ApiRefusal, KubeApi, Tree

KINDS = ("jobs", "secrets", "persistentvolumeclaims", "networkpolicies")


def holder() -> str:
    """Who this process is, for others who find what it made."""
    return f"{socket.gethostname()}/{os.getpid()}"


def left_over(meta: Tree, here: str, alive: Callable[[int], bool], now: float) -> bool:
    """Whether something of a doctor's is nobody's any more.

    Args:
        meta: its metadata.
        here: who asks.
        alive: whether a process of this machine still runs.
        now: seconds since 1970.
    """
    machine, _, process = ((meta.get("annotations") or {}).get(HOLDER) or "").rpartition("/")
    mine, _, me = here.rpartition("/")
    if machine == mine and process.isdecimal():
        return process == me or not alive(int(process))
    made = datetime.fromisoformat(meta.get("creationTimestamp") or "1970-01-01T00:00:00Z").timestamp()
    return now - made > LONGEST_SECONDS


def runs_here(process: int) -> bool:
    """Whether a process of this machine still runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def path_of(kind: str, namespace: str) -> str:
    groups = {"jobs": "/apis/batch/v1", "networkpolicies": "/apis/networking.k8s.io/v1"}
    return f"{groups.get(kind, '/api/v1')}/namespaces/{namespace}/{kind}"


async def sweep(api: KubeApi, namespace: str) -> None:
    """Remove what doctors left that were ended by force; what may not be listed is passed over."""

    def gone(thing: Tree) -> bool:
        return left_over(thing["metadata"], holder(), runs_here, time.time())

    with contextlib.suppress(ApiRefusal):
        for each in filter(gone, await items(api, "/api/v1/namespaces", labelSelector=SELECTOR)):
            await delete(api, f"/api/v1/namespaces/{each['metadata']['name']}")
    for kind in KINDS:
        with contextlib.suppress(ApiRefusal):
            for each in filter(gone, await items(api, path_of(kind, namespace), labelSelector=SELECTOR)):
                await delete(api, f"{path_of(kind, namespace)}/{each['metadata']['name']}")


async def delete(api: KubeApi, path: str) -> None:
    body = {"propagationPolicy": "Foreground"} if "/jobs/" in path else None  # it goes after its pod
    try:
        await api.call("DELETE", path, body=body)
    except ApiRefusal as refusal:
        if refusal.status not in {404, 409}:
            raise


async def surely(work: Awaitable[Any]) -> None:
    """Do work to its end, also if this task is cancelled meanwhile, and again."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()
