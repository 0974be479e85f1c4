"""The session with a real vantage6 server on loopback; no cluster is needed for it."""

import asyncio
import contextlib
import itertools

import aiohttp
import pytest

from launcher.config import NodeSection
from launcher.runs import Outcome, RunStatus
from launcher.session import LoginRefused
from launcher.session.v4 import V4Session
from tests.stage.waiting import wait_until

_numbers = itertools.count(1)


class Heard:
    """A listener that remembers."""

    def __init__(self):
        self.lists, self.new, self.kills = [], [], []

    def open_runs(self, runs):
        self.lists.append([run.id for run in runs])

    def new_runs(self, runs):
        self.new.extend(runs)

    def killed(self, run_ids):
        self.kills.append(run_ids)


@pytest.fixture
def collaboration(federation):
    number = next(_numbers)
    return federation.collaboration(f"Study {number}", [federation.organization(f"Hospital {number}")])


def node_section(server):
    return NodeSection.model_validate({"server_url": server.url, "port": server.port})


@contextlib.asynccontextmanager
async def opened(server, collaboration):
    async with aiohttp.ClientSession() as http:
        session = V4Session(http, node_section(server), collaboration.nodes[0].api_key)
        await session.open()
        yield session


@contextlib.asynccontextmanager
async def online(server, collaboration):
    heard = Heard()
    async with opened(server, collaboration) as session:
        connected = asyncio.create_task(session.stay_connected(heard))
        await until(lambda: session.online and heard.lists)
        try:
            yield session, heard
        finally:
            connected.cancel()
            await asyncio.wait({connected})


async def until(condition, seconds=30):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


async def send(collaboration, **more):
    return await asyncio.to_thread(collaboration.researcher().send, "localhost/none:1", "nothing", **more)


async def test_online_while_connected_and_offline_afterwards(server, collaboration):
    node = collaboration.nodes[0]
    researcher = collaboration.researcher()

    def status():
        return researcher.node_status(node)

    async with online(server, collaboration):
        assert await asyncio.to_thread(status) == "online"
    await asyncio.to_thread(wait_until, lambda: status() == "offline", 20, status)


async def test_who_is_told_to_go_offline_while_the_connection_ends_does_not_come_back(server, collaboration):
    async with opened(server, collaboration) as session:
        for pause in (0, 0.001, 0.01, 0.1, 0.3):
            connected = asyncio.create_task(session.stay_connected(Heard()))
            await until(lambda: session.online)
            closing = asyncio.create_task(session._socket.disconnect())
            await asyncio.sleep(pause)
            connected.cancel()
            await asyncio.wait({connected}, timeout=5)
            assert connected.cancelled(), f"{pause} s after it began to close"
            await closing


async def test_a_task_is_heard_taken_and_its_result_delivered_once(server, collaboration):
    async with online(server, collaboration) as (session, heard):
        task = await send(collaboration)
        await until(lambda: heard.new)
        (run,) = heard.new
        assert b'"nothing"' in await session.take(run)
        assert await session.algorithm_token(run)
        await session.report_active(run)
        assert task.statuses() == ["active"]
        await session.deliver(run, Outcome(RunStatus.COMPLETED), b'{"answer": 42}', "worked\n")
        assert (await asyncio.to_thread(task.wait)).result() == {"answer": 42}
        assert task.run()["log"] == "worked\n"

        # Whoever comes later finds it closed.
        assert await session.find(run.id) is None
        assert await session.take(run) is None
        await session.deliver(run, Outcome(RunStatus.CRASHED), b"", "too late")
        assert task.run()["log"] == "worked\n"


async def test_a_log_grows_while_the_run_is_active_and_is_what_was_delivered_at_the_end(server, collaboration):
    async with online(server, collaboration) as (session, heard):
        task = await send(collaboration)
        await until(lambda: heard.new)
        (run,) = heard.new
        assert await session.show_log(run, "The run waits.\n")
        assert task.run()["log"] == "The run waits.\n"
        await session.report_active(run)
        for number in range(3):
            assert await session.show_log(run, f"line {number}\n")
        assert task.run()["log"] == "line 0\nline 1\nline 2\n"
        await session.deliver(run, Outcome(RunStatus.COMPLETED), b"1", "all of it")
        assert task.run()["log"] == "all of it"


async def test_without_a_connection_a_log_is_not_shown_and_nothing_is_raised(server, collaboration):
    async with opened(server, collaboration) as session:
        task = await send(collaboration)
        assert not await session.show_log((await session.open_runs())[0], "x\n")
        assert not task.run()["log"]


async def test_a_task_that_was_sent_before_the_node_came_is_in_the_first_list(server, collaboration):
    task = await send(collaboration)
    async with online(server, collaboration) as (_, heard):
        assert heard.lists[0] == [task.run()["id"]]


async def test_many_open_runs_are_all_found_across_pages(server, collaboration):
    researcher = collaboration.researcher()
    sent = [(await asyncio.to_thread(researcher.send, "localhost/none:1", "nothing")).run()["id"] for _ in range(12)]
    async with online(server, collaboration) as (session, _):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("launcher.session.v4._PAGE", 5)
            assert [run.id for run in await session.open_runs()] == sent


async def test_a_kill_is_heard(server, collaboration):
    async with online(server, collaboration) as (_, heard):
        task = await send(collaboration)
        await until(lambda: heard.new)
        await asyncio.to_thread(collaboration.federation.root.task.kill, task.id)
        await until(lambda: heard.kills)
        assert heard.kills == [[task.run()["id"]]]


async def test_a_new_secret_of_the_server_is_survived(server, collaboration):
    async with online(server, collaboration) as (session, heard):
        await asyncio.to_thread(server.restart, new_jwt_secret=True)
        await until(lambda: not session.online)
        await until(lambda: session.online and len(heard.lists) > 1, 60)
        assert await session.open_runs() == []


async def test_a_wrong_key_is_said_in_one_sentence(server):
    async with aiohttp.ClientSession() as http:
        session = V4Session(http, node_section(server), "00000000-0000-4000-8000-000000000000")
        with pytest.raises(LoginRefused, match=r"refuses api_key .*; give the key that it showed"):
            await session.open()
