"""`down`: the node goes, and what cannot be made again stays unless it is asked for too."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from launcher.admin import Failure
from launcher.admin.cluster import Where, connected, get, items, names
from launcher.admin.helm import RELEASE, Helm, chart
from launcher.kubeapi import ApiRefusal, KubeApi, Tree

TASKS = "v6-node-tasks"
_KEEP = "helm.sh/resource-policy"


def goes_with_the_release(manifests: Sequence[Any]) -> bool:
    """Whether helm deletes the task volume together with the release: it made it, and was not told to keep it."""
    for each in manifests:
        if each.get("kind") == "PersistentVolumeClaim" and each["metadata"]["name"] == TASKS:
            return (each["metadata"].get("annotations") or {}).get(_KEEP) != "keep"
    return False


def what_stays(where: Where, claim: Tree | None, secrets: Sequence[str], *, deleted: bool) -> list[str]:
    """Lines on what is still there, and how it would go.

    Args:
        where: the node's namespace.
        claim: the task volume's, if it is there.
        secrets: names of the Secrets in the namespace that helm does not know of.
        deleted: whether the task volume was to be deleted.
    """
    n = where.namespace
    lines = []
    if claim is not None and not deleted:
        size = (claim.get("status") or {}).get("capacity", {}).get("storage") or "of unknown size"
        lines.append(
            f"Kept: the task volume (claim {TASKS}, {size}), with the files of runs that are open; "
            f"`v6-node up` goes on with it, and `v6-node down --delete-data -n {n}` deletes it."
        )
    if secrets:
        lines.append(f"Kept: Secrets {', '.join(secrets)}, among them perhaps keys that you have nowhere else.")
    lines.append(f"Kept: namespace {n}; `kubectl delete namespace {n}` removes it with everything in it.")
    return lines


async def down(where: Where, say: Callable[[str], None], *, delete_data: bool, chart_at: Path | None) -> None:
    """Remove the node of a namespace.

    Args:
        where: cluster and namespace.
        say: told what was done and what stays, a line at a time.
        delete_data: whether the task volume goes too.
        chart_at: the chart, where the release has first to be told to keep the volume; None: the one of this program.

    Raises:
        Failure, ApiRefusal, ClusterUnavailable: it can't be done.
    """
    helm = Helm(where)
    async with connected(where) as api:
        state = await helm.status()
        claim = await get(api, f"{where.core}/persistentvolumeclaims/{TASKS}")
        if state is None and not (delete_data and claim):
            raise Failure(
                f"There is no node in namespace {where.namespace}; `v6-node list` shows where there are some."
            )
        if state is not None:
            if not delete_data and state == "deployed" and goes_with_the_release(await helm.manifests()):
                await helm.keep_tasks(chart(chart_at))
            await helm.uninstall()
            say(f"Release {RELEASE} is removed from namespace {where.namespace}; what ran is ended.")
        claim = await get(api, f"{where.core}/persistentvolumeclaims/{TASKS}")
        if delete_data and claim is not None:
            await api.call("DELETE", f"{where.core}/persistentvolumeclaims/{TASKS}")
            say(f"The task volume (claim {TASKS}) is deleted.")
        for line in what_stays(where, claim, await _other_secrets(api, where), deleted=delete_data):
            say(line)


async def _other_secrets(api: KubeApi, where: Where) -> list[str]:
    try:
        found = await items(api, f"{where.core}/secrets")
    except ApiRefusal:
        return []
    return names([each for each in found if not str(each.get("type", "")).startswith("helm.sh/")])
