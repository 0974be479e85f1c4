"""What the launcher itself tells: its status, and the logs that it kept. It is asked in its own pod."""

import json
from typing import Any

from launcher.admin.cluster import POD, Where
from launcher.admin.execution import execute
from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi
from launcher.status import PORT

ROUTES = ("readyz", "identity", "connection", "isolation", "databases")

_ASK = f"""
import json, sys, urllib.error, urllib.request
told = {{}}
for route in sys.argv[1:]:
    try:
        with urllib.request.urlopen("http://127.0.0.1:{PORT}/" + route, timeout=5) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        text = error.read()
    except OSError:
        continue
    try:
        told[route] = json.loads(text)
    except ValueError:
        told[route] = text.decode(errors="replace")
print(json.dumps(told))
"""

# Read only: the launcher may be writing to it.
_KEPT = """
import pathlib, sys
tasks, run = pathlib.Path("/tasks"), sys.argv[1]
found = [*tasks.glob("runs/" + run + "-*/log"), *tasks.glob("logs/" + run + "-*")]
if not found:
    sys.exit(1)
newest = max(found, key=lambda folder: folder.stat().st_mtime)
so_far = 0
for part in sorted(path for path in newest.iterdir() if path.name.isdecimal()):
    offset, text = int(part.name), part.read_bytes()
    if offset > so_far:
        sys.stdout.buffer.write(b"\\n[... %d bytes left out ...]\\n" % (offset - so_far))
    sys.stdout.buffer.write(text)
    so_far = offset + len(text)
"""


async def told(api: KubeApi, where: Where) -> tuple[dict[str, Any] | None, str]:
    """What the launcher answers by route; or None, and why it could not be asked."""
    try:
        answer = await execute(api, _pod(where), ["python", "-c", _ASK, *ROUTES], container="launcher")
        return dict(json.loads(answer)), ""
    except (ApiRefusal, ClusterUnavailable, ValueError) as error:
        return None, str(error)


async def kept_log(api: KubeApi, where: Where, run: int) -> bytes | None:
    """The log of a run that the launcher has on the task volume; None if it has none.

    Raises:
        ApiRefusal, ClusterUnavailable: it can't be asked.
    """
    try:
        return await execute(api, _pod(where), ["python", "-c", _KEPT, str(run)], container="launcher", seconds=60)
    except ApiRefusal as refusal:
        if refusal.status == 500:
            return None
        raise


def _pod(where: Where) -> str:
    return f"{where.core}/pods/{POD}"
