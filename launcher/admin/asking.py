"""What the launcher itself tells: its status, and the logs that it kept. It is asked in its own pod."""

import inspect
import json
from typing import Any

from launcher.admin import inpod
from launcher.admin.cluster import POD, Where
from launcher.admin.execution import execute
from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi
from launcher.status import PORT

ROUTES = ("readyz", "identity", "connection", "isolation", "databases")
_STATUS = f"http://127.0.0.1:{PORT}"
_TASKS = "/tasks"  # where the chart mounts the volume


async def told(api: KubeApi, where: Where) -> tuple[dict[str, Any] | None, str]:
    """What the launcher answers by route; or None, and why it could not be asked."""
    try:
        return dict(json.loads(await _execute(api, where, "status", _STATUS, *ROUTES))), ""
    except (ApiRefusal, ClusterUnavailable, ValueError) as error:
        return None, str(error)


async def kept_log(api: KubeApi, where: Where, run: int) -> bytes | None:
    """The log of a run that the launcher has on the task volume; None if it has none.

    Raises:
        ApiRefusal, ClusterUnavailable: it can't be asked.
    """
    try:
        return await _execute(api, where, "log", _TASKS, str(run))
    except ApiRefusal as refusal:
        if refusal.status == 500:
            return None
        raise


async def _execute(api: KubeApi, where: Where, *order: str) -> bytes:
    command = ["python", "-c", inspect.getsource(inpod), *order]
    return await execute(api, f"{where.core}/pods/{POD}", command, container="launcher", seconds=60)
