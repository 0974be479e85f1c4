"""A process that watches the Jobs and pods of a namespace: `python -m benchmarks.cluster_witness`.

Arguments: the kubeconfig, the namespace, and the file to write: a line for each event of the watches, with the time at
which it came. It says that it watches, and ends when its standard input does.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import IO

import aiohttp

from benchmarks.kube import RawApi
from tests.stage import StageError

_PAUSE = 0.2


def line(at: float, kind: str, event: bytes) -> bytes:
    """What is written of an event, which is left as it came: reading it would take time."""
    return b'{"at": %.6f, "kind": "%s", "event": %s}\n' % (at, kind.encode(), event.strip())


async def follow(api: RawApi, path: str, kind: str, file: IO[bytes]) -> None:
    """Watch a collection, for ever; a watch that ended begins again and shows what there is."""
    while True:
        try:
            async for event in api.lines(path, {"watch": "true", "timeoutSeconds": 3600}):
                file.write(line(time.time(), kind, event))
                file.flush()
        except (aiohttp.ClientError, StageError, OSError) as error:
            print(f"the watch of {path} ended: {error}", file=sys.stderr)
        await asyncio.sleep(_PAUSE)


async def watch(kubeconfig: Path, namespace: str, path: Path) -> None:
    """Watch until standard input ends."""
    with path.open("ab") as file:
        async with RawApi(kubeconfig) as api:
            jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
            pods = f"/api/v1/namespaces/{namespace}/pods"
            await api.call("GET", jobs)
            tasks = [asyncio.create_task(follow(api, *each, file)) for each in ((jobs, "Job"), (pods, "Pod"))]
            print("watching", flush=True)
            await asyncio.to_thread(sys.stdin.read)
            for task in tasks:
                task.cancel()


if __name__ == "__main__":
    asyncio.run(watch(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
