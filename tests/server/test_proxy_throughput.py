"""What the proxy costs: the same calls to the same server, directly and through the proxy, in turns; their ratio.

Only ratios of one run mean anything: times are those of whatever machine, and its other load, this is. What the proxy
computes for a call tells its own part.
"""

import asyncio
import base64
import functools
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

import aiohttp
import pytest

from launcher.runs import Outcome, Run, RunStatus
from tests import figures
from tests.stage.proxy_process import ProxyProcess, proxy_process

pytestmark = pytest.mark.slow
CALLS, TRANSFERS = 100, 5
SIZE = 2**24


async def in_turns(times: int, direct: Callable[[], Awaitable[object]], proxied: Callable[[], Awaitable[object]]):
    """The median seconds of each."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(times + 1):
        for call, seconds in zip((direct, proxied), took, strict=True):
            began = time.perf_counter()
            await call()
            seconds.append(time.perf_counter() - began)
    return [statistics.median(seconds[1:]) for seconds in took]  # the first one connects


async def compared(site, proxy: ProxyProcess, what: str, times: int, calls: Sequence[Callable[[], Awaitable[object]]]):
    before = proxy.cpu()
    direct, proxied = await in_turns(times, *calls)
    computed = (proxy.cpu() - before) / (times + 1)
    figures.note(
        "the proxy against direct calls",
        f"{'encrypted' if site.enabled else 'plain':9} {what:28} {direct * 1000:7.1f} ms direct, "
        f"{proxied * 1000:7.1f} through the proxy: {proxied / direct:.2f} times; it computes {computed * 1000:.1f}",
    )


async def test_calls_and_transfers(site, tmp_path):
    async with site.session() as session:
        await asyncio.to_thread(lambda: site.researcher().send("localhost/none:1", "nothing"))
        (run,) = await session.open_runs()
        headers = {"Authorization": f"Bearer {await session.algorithm_token(run)}"}
        async with (
            proxy_process(tmp_path, site.server.port, site.told(session), site.key) as proxy,
            aiohttp.ClientSession(headers=headers) as http,
        ):
            bases = site.server.api, proxy.url
            calls = [functools.partial(get, http, f"{base}/organization/{site.organization.id}") for base in bases]
            await compared(site, proxy, "GET /organization/{id}", CALLS, calls)

            content, sealing = bytes(SIZE), site.cryptor.for_text(site.cryptor.public_key)
            inputs = (sealing.update(content) + sealing.finish()).decode(), base64.b64encode(content).decode()
            tasks = [new_task(site, run, text) for text in inputs]
            calls = [functools.partial(create, http, base, task) for base, task in zip(bases, tasks, strict=True)]
            await compared(site, proxy, "POST /task of 16 MiB", TRANSFERS, calls)

            (child,) = await session.open_runs(await create(http, proxy.url, new_task(site, run, "e30=")))
            await session.deliver(child, Outcome(RunStatus.COMPLETED), content, "")
            calls = [functools.partial(get, http, f"{base}/result?task_id={child.task_id}") for base in bases]
            await compared(site, proxy, "GET /result of 16 MiB", TRANSFERS, calls)


def new_task(site, run: Run, text: str) -> bytes:
    organizations = [{"id": site.organization.id, "input": text}]
    task = {"image": run.image, "collaboration_id": run.collaboration_id, "organizations": organizations}
    return json.dumps({"name": "n", **task}).encode()


async def get(http: aiohttp.ClientSession, url: str) -> None:
    async with http.get(url) as answer:
        size = sum([len(piece) async for piece in answer.content.iter_any()])
        assert (answer.status, size > SIZE) == (200, "/result" in url)


async def create(http: aiohttp.ClientSession, base: str, task: bytes) -> int:
    async with http.post(f"{base}/task", data=task, headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 201, await answer.text()
        return int((await answer.json())["id"])
