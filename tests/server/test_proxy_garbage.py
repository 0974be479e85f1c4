"""A thousand requests of garbage to the real proxy before the real server: answered or cut off, and forgotten.

No 5xx that the server does not give itself, nothing of other tasks, no token and no stack trace in answers and log, no
memory and no connection kept. What is asked is made from a seed that is printed.
"""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import random
import re
import time
from collections import Counter

import aiohttp

from launcher.runs import Outcome, RunStatus
from tests.server.garbage import Known, by_chance, endless, special
from tests.server.sessions import forged
from tests.stage.proxy_process import ProxyProcess, proxy_process

SECRET = "what-nobody-may-see"
REQUESTS, WARM, AT_ONCE = 1000, 200, 10
GROWTH = 16 * 2**20  # bytes, after the first `WARM`
PATIENCE = 20  # seconds for the beginning of an answer
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


async def known(site, session) -> Known:
    """Three tasks at the server. One has a result that only its own algorithm may see, whose token nobody here has."""
    researcher = await asyncio.to_thread(site.researcher)
    for _ in range(3):
        await asyncio.to_thread(researcher.send, "localhost/none:1", "nothing", SECRET)
    own, stranger, other = await session.open_runs()
    tokens = {
        "own": await session.algorithm_token(own),
        "other task's": await session.algorithm_token(stranger),
        "user's": researcher.client.token,
        "node's": session._rest._access,
    }
    tokens["expired"] = forged(site, tokens["own"])
    tokens["of a wrong signature"] = forged(site, tokens["own"], seconds=600, secret="x" * 32)
    await session.deliver(other, Outcome(RunStatus.COMPLETED), json.dumps(SECRET).encode(), SECRET)
    organizations = [{"id": site.organization.id, "input": base64.b64encode(b"{}").decode()}]
    task = {"image": own.image, "collaboration_id": own.collaboration_id, "organizations": organizations}
    return Known(tokens, own.task_id, own.id, other.task_id, other.id, {**task, "databases": [], "name": "n"})


async def ask(port: int, request: bytes) -> bytes:
    """Everything that is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):  # it may be refused before it is read
        writer.write(request)
        await writer.drain()
    answer = b""
    with contextlib.suppress(ConnectionError):
        while piece := await asyncio.wait_for(_piece(reader, bool(answer)), PATIENCE):
            answer += piece
    writer.close()
    return answer


async def _piece(reader: asyncio.StreamReader, answered: bool) -> bytes:
    """What comes next; nothing follows an answer, though for a while the proxy swallows the rest of what it refused."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1 if answered else None):
            return await reader.read(2**16)
    return b""


async def cut(port: int, beginning: bytes) -> bytes:
    """Send the beginning of a request, and leave."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(beginning)
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.transport.abort()
    return b""


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in _STATUS.findall(answer)]


def requests(chance: random.Random, there: Known):
    """A thousand, the special ones among the first two hundred as well as later."""
    made = list(special(there).items())
    made += [
        (f"{target}, cut off", lambda target=target: endless(there, target)) for target in ("/task", "/blobstream")
    ]
    for index in range(REQUESTS):
        if index % 5 == 4:
            yield made[index // 5 % len(made)]
        else:
            yield "by chance", lambda: by_chance(chance, there)


async def test_a_thousand_requests_of_garbage(site, tmp_path):
    seed = int(os.environ.get("V6_NODE_TEST_SEED") or random.SystemRandom().randrange(10**9))
    print(f"V6_NODE_TEST_SEED={seed}")
    async with site.session() as session:
        there = await known(site, session)
        async with proxy_process(tmp_path, site.server.port, site.told(session), site.key) as proxy:
            await as_it_should_be(proxy, there)
            descriptors = proxy.descriptors()
            counts, memory = await bombarded(proxy, site, there, random.Random(seed))
            await as_it_should_be(proxy, there)
            await let_go(proxy, descriptors)
    grown = memory[-1] - memory[0]
    print(f"{dict(counts)}; {memory[0] / 2**20:.1f} MiB after {WARM}, {grown / 2**20:+.1f} after {REQUESTS}")
    assert grown < GROWTH, [f"{size / 2**20:.1f} MiB" for size in memory]
    assert min(counts[200], counts[400], counts[401], counts[403], counts[413]) >= 5, counts
    assert given_away(proxy.log.read_bytes(), there) is None


async def bombarded(proxy: ProxyProcess, site, there: Known, chance: random.Random) -> tuple[Counter[int], list[int]]:
    """How often which status was answered, and the memory after every two hundred requests."""
    counts, memory, wrong = Counter[int](), [], []
    asked = requests(chance, there)
    for sent in range(AT_ONCE, REQUESTS + 1, AT_ONCE):
        batch = [(name, make()) for name, make in itertools.islice(asked, AT_ONCE)]
        sending = [(cut if "cut off" in name else ask)(proxy.port, content) for name, content in batch]
        for (name, content), answer in zip(batch, await asyncio.gather(*sending), strict=True):
            counts.update(statuses(answer) or [0])
            shown = (name, content[:300], answer[:500])
            # What is no HTTP, aiohttp quotes to its sender.
            if (found := given_away(answer, there)) and not (found == "own" and b"text/plain" in answer):
                wrong.append((found, *shown))
            if (worst := max(statuses(answer), default=0)) >= 500 and worst not in await direct(site, content):
                wrong.append(shown)
        if sent % WARM == 0:
            memory.append(proxy.memory())
    assert not wrong, wrong[:5]
    return counts, memory


async def direct(site, content: bytes) -> list[int]:
    """What the server says to the same request, without a proxy."""
    method, target, rest = content.split(b" ", 2)
    return statuses(await ask(site.server.port, b" ".join([method, b"/api" + target, rest])))


def given_away(text: bytes, there: Known) -> str | None:
    """What is in a text that may not be; what stands in a token's middle is no secret, its signature is."""
    plain, encoded = SECRET.encode(), base64.b64encode(json.dumps(SECRET).encode())
    found = [name for name, token in there.tokens.items() if token.rpartition(".")[2].encode() in text]
    found += [mark.decode() for mark in (plain, encoded, b"Traceback", b"PRIVATE KEY", b'.py"') if mark in text]
    return ", ".join(found) or None


async def as_it_should_be(proxy: ProxyProcess, there: Known) -> None:
    headers = {"Authorization": f"Bearer {there.tokens['own']}"}
    async with aiohttp.ClientSession(proxy.url, headers=headers) as algorithm:
        async with algorithm.get(f"/task/{there.own_task}") as answer:
            assert (answer.status, (await answer.json())["id"]) == (200, there.own_task)
        async with algorithm.post("/task", json=there.new_task) as answer:
            assert answer.status == 201, await answer.text()


async def let_go(proxy: ProxyProcess, descriptors: int) -> None:
    """Idle connections to the server are kept for ten to twenty seconds."""
    began = time.monotonic()
    while proxy.descriptors() > descriptors:
        assert time.monotonic() - began < 30, [proxy.descriptors(), descriptors]
        await asyncio.sleep(0.2)
