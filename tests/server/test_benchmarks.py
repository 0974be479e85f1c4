"""What the benchmarks see and do at the server: a run is witnessed, and its calls are made again by a script."""

import asyncio
import secrets
import time
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.journal import Journal, witness
from benchmarks.openruns import write_runs
from benchmarks.serverside import Sender, Shadow, ids_of
from benchmarks.sightings import SeenAtServer
from launcher.runs import Outcome, RunStatus
from launcher.session.v4 import V4Session
from tests.server.sessions import Way, kept_online, listening, until
from tests.stage.federation import Collaboration, Federation
from tests.stage.server import Server

IMAGE = "localhost/none:1"


def study(federation: Federation) -> Collaboration:
    name = secrets.token_hex(3)
    return federation.collaboration(f"Study {name}", [federation.organization(f"Hospital {name}")])


async def carry_out(session: V4Session, task: int) -> int:
    """What a node says to the server about a run."""
    (run,) = await session.open_runs(task)
    assert await session.take(run) == b'{"method": "sleep", "args": [0], "kwargs": {}}'
    await session.algorithm_token(run)
    await session.report_active(run)
    await session.show_log(run, "said\n")
    await session.deliver(run, Outcome(RunStatus.COMPLETED), b'{"slept": 0}', "said\n")
    return run.id


async def test_a_run_is_witnessed_and_replayed(server: Server, federation: Federation, tmp_path: Path) -> None:
    ours, theirs = await asyncio.to_thread(lambda: (study(federation), study(federation)))
    base = f"{server.url}:{server.port}"
    file = tmp_path / "server.jsonl"
    seen = SeenAtServer()
    async with (
        witness("benchmarks.server_witness", "127.0.0.1", base, str(file)) as port,
        aiohttp.ClientSession() as http,
    ):
        way = Way(server, "auto")
        sender, other = [await Sender.of(http, each) for each in (ours, theirs)]
        async with way.opened(ours, port=int(port)) as session, kept_online(session) as heard:
            sent = await sender.send(IMAGE, "sleep", 0)
            await until(lambda: heard.new)
            at = time.time()
            run = await carry_out(session, sent.task)
        seen.take(Journal(file).new())
        assert sent.at < seen.told[sent.task] < at
        delivery = seen.delivery(run)
        assert delivery
        calls = seen.of_run(run, sent.task)
        made = [(call.method, call.path.rpartition("/api")[2]) for call in calls]
        # The event itself makes the session read the task's runs; here the test does it too.
        patch, told = ("PATCH", f"/run/{run}"), ("TELL", "algorithm_status_change")
        before = [("GET", "/run")] * 2 + [patch, ("POST", "/token/container"), patch, told]
        assert made == [*before, ("ASK", "algorithm_log"), patch, told]
        assert await sender.result(sent.task) == {"slept": 0}

        changes: list[dict[str, Any]] = []
        async with (
            Shadow.online(http, f"{server.url}:{port}", theirs) as shadow,
            listening(way, theirs, algorithm_status_change=changes.append),
        ):
            again = await other.send(IMAGE, "sleep", 0)
            new = await shadow.ids_of(again.task)
            await shadow.replay(calls, ids_of(ours, run, sent.task), new)
            await until(lambda: len(changes) == 2)
        assert [(each["run_id"], each["node_id"], each["status"]) for each in changes] == [
            (new.run, theirs.nodes[0].id, "active"),
            (new.run, theirs.nodes[0].id, "completed"),
        ]
        assert await other.result(again.task) == {"slept": 0}
        assert await other.status(again.task) == "completed"


async def test_a_kill_is_ordered(server: Server, federation: Federation) -> None:
    ours = await asyncio.to_thread(study, federation)
    way = Way(server, "websocket")
    async with aiohttp.ClientSession() as http, way.opened(ours) as session, kept_online(session) as heard:
        sender = await Sender.of(http, ours)
        sent = await sender.send(IMAGE, "sleep", 0)
        await until(lambda: heard.new)
        await sender.kill(sent.task)
        await until(lambda: heard.kills)
        assert heard.kills == [[heard.new[0].id]]


async def test_written_runs_are_open_for_their_node_alone(server: Server, federation: Federation) -> None:
    ours, theirs = await asyncio.to_thread(lambda: (study(federation), study(federation)))
    way = Way(server, "polling")
    async with aiohttp.ClientSession() as http:
        for each in (ours, theirs):
            sent = await (await Sender.of(http, each)).send(IMAGE, "sleep", 0)
        async with way.opened(ours) as session, way.opened(theirs, 0) as other:
            (first,) = await session.open_runs()
            await asyncio.to_thread(write_runs, server.folder / "server.sqlite", ours.nodes[0].id, 250)
            runs = await session.open_runs()
            assert len({run.task_id for run in runs}) == len({run.job_id for run in runs}) == 251
            assert {(run.image, run.organization_id) for run in runs} == {(first.image, first.organization_id)}
            assert [run.task_id for run in await other.open_runs()] == [sent.task]
            await carry_out(session, runs[-1].task_id)
            assert len(await session.open_runs()) == 250
