"""What the recorder can make of what a server says."""

import asyncio
import json
import time

import aiohttp
import pytest
from aiohttp import web

from tests.faults.gossip import Gossip
from tests.stage.recorder import Recorder

OPEN = "/api/run?state=open&node_id=1"


@pytest.fixture
async def recorder():
    """Before a server whose list of open runs is `runs`, and that says on a websocket whatever it hears."""
    runs: list[int] = []

    async def listed(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": run} for run in runs]})

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    app = web.Application()
    app.add_routes([web.get("/api/run", listed), web.get("/socket", echo)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with Recorder("127.0.0.1", f"http://127.0.0.1:{runner.addresses[0][1]}") as recorder:
        yield recorder, runs
    await runner.cleanup()


async def ids(http: aiohttp.ClientSession, recorder: Recorder) -> list[int]:
    async with http.get(f"http://127.0.0.1:{recorder.port}{OPEN}") as answer:
        return [run["id"] for run in json.loads(await answer.read())["data"]]


async def test_a_list_of_open_runs_may_be_old_but_has_every_run_that_is_open(recorder) -> None:
    recorder, runs = recorder
    gossip = Gossip("1")
    async with aiohttp.ClientSession() as http:
        gossip.begin(recorder)
        runs += [1, 2]
        assert await ids(http, recorder) == [1, 2]
        runs.remove(1)
        assert await ids(http, recorder) == [1, 2], "the earlier one"
        assert await ids(http, recorder) == [2], "once"
        runs.append(3)
        assert await ids(http, recorder) == [2, 3]
        runs.clear()
        runs.append(4)
        assert await ids(http, recorder) == [4], "the earlier one does not have it"
    assert gossip.stale_lists == 1


async def test_events_come_twice_and_late_and_what_the_protocol_needs_comes_as_it_is(recorder) -> None:
    recorder, _ = recorder
    gossip = Gossip("1")
    gossip.begin(recorder)
    events = [f'42/tasks,["new_task",{number}]' for number in range(5)]
    heard: list[str] = []
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"http://127.0.0.1:{recorder.port}/socket") as socket,
    ):
        began = time.monotonic()
        for each in [*events, "2probe"]:
            await socket.send_str(each)
        async with asyncio.timeout(10):
            while len(heard) < 11:
                heard.append((await socket.receive()).data)
    assert "2probe" in heard[:4], "it did not wait for the others"
    assert sorted(heard) == sorted([*events, *events, "2probe"])
    assert [each for each in heard if each != "2probe"] != [*events, *events]
    assert time.monotonic() - began > 0.5
    gossip.end(recorder)
    assert recorder.retell is None
