"""The proxy against direct calls, in turns: a small call, bodies of 64 MiB each way, a stream of 1 GiB.

The server is real, on loopback; its blob store is a folder, so that blobs cost it nothing. Of a result and a new task,
and of a blob down and up, the one that the proxy slows more counts.
"""

import base64
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.algorithmside import Algorithm, beside_a_proxy, timed
from benchmarks.found import Effort, Found
from benchmarks.goals import Measurement
from benchmarks.percentiles import median
from tests.stage.proxy_process import ProxyProcess

MIB = 2**20
BODY = 64 * MIB
CONTENT = BODY * 3 // 4
"""As base64 it is the body."""
MARGIN = 4096
"""The proxy takes new tasks up to 64 MiB, with what is around the input."""
STREAM = 2**30

Call = Callable[[str], Awaitable[object]]


async def measure(effort: Effort) -> Found:
    """Measure."""
    found = Found()
    with tempfile.TemporaryDirectory(prefix="v6-bench-") as name:
        async with beside_a_proxy(Path(name) / "plain", blobs=False) as (algorithm, proxy, direct):
            await latency(found, effort, algorithm, (direct, proxy.url))
            result = await algorithm.child_with_result(direct, base64.b64encode(bytes(CONTENT)).decode())
            bodies: dict[str, Call] = {
                "a result": lambda base: algorithm.get(base, f"/result?task_id={result}"),
                "a new task": lambda base: algorithm.create(base, bytes(CONTENT - MARGIN)),
            }
            await throughput(found, effort, "proxy, throughput", bodies, (direct, proxy.url))
        async with beside_a_proxy(Path(name) / "blobs", blobs=True) as (algorithm, proxy, direct):
            blob = await algorithm.upload(proxy.url, CONTENT)
            await algorithm.child_with_result(direct, blob)
            bodies = {
                "a blob, down": lambda base: algorithm.download(base, blob),
                "a blob, up": lambda base: algorithm.upload(base, CONTENT),
            }
            await throughput(found, effort, "proxy, blobs", bodies, (direct, proxy.url))
            await memory(found, algorithm, proxy, direct)
    return found


async def latency(found: Found, effort: Effort, algorithm: Algorithm, bases: tuple[str, str]) -> None:
    """A call that the server answers at once."""
    path = f"/organization/{algorithm.identity['organization_id']}"
    direct, proxied = await in_turns(effort.calls, lambda base: algorithm.get(base, path), bases)
    found.samples["a small call direct, ms"] = [each * 1000 for each in direct]
    found.samples["a small call through the proxy, ms"] = [each * 1000 for each in proxied]
    found.measurements.append(Measurement("proxy, latency", median(proxied) * 1000, median(direct) * 1000))


async def throughput(found: Found, effort: Effort, goal: str, bodies: dict[str, Call], bases: tuple[str, str]) -> None:
    """MiB a second of each kind of body, through the proxy and direct."""
    speeds = []
    for kind, call in bodies.items():
        direct, proxied = await in_turns(effort.rounds * 2, call, bases)
        found.samples[f"{kind} of 64 MiB direct, s"] = direct
        found.samples[f"{kind} of 64 MiB through the proxy, s"] = proxied
        speeds.append((BODY / MIB / median(proxied), BODY / MIB / median(direct)))
    measured, limit = min(speeds, key=lambda speed: speed[0] / speed[1])
    found.measurements.append(Measurement(goal, measured, limit))


async def memory(found: Found, algorithm: Algorithm, proxy: ProxyProcess, direct: str) -> None:
    """A blob of 1 GiB, up and down: by how much the proxy's memory grows at most."""
    before = proxy.memory()
    proxy.forget_peak()
    blob = await algorithm.upload(proxy.url, STREAM)
    up = proxy.peak() - before
    await algorithm.child_with_result(direct, blob)
    proxy.forget_peak()
    await algorithm.download(proxy.url, blob)
    down = proxy.peak() - before
    found.samples["a stream of 1 GiB, the proxy's memory before, growth up and down, MiB"] = [
        each / MIB for each in (before, up, down)
    ]
    found.measurements.append(Measurement("proxy, memory", max(up, down) / MIB, None))


async def in_turns(times: int, call: Call, bases: tuple[str, str]) -> tuple[list[float], list[float]]:
    """The seconds of a call to either address, in turns, after one to each that does not count."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(times + 1):
        for base, seconds in zip(bases, took, strict=True):
            seconds.append(await timed(call(base)))
    return took[0][1:], took[1][1:]
