"""A run from the server's side: taken, active, its log as it grows, delivered once, and what each PATCH leaves."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from launcher.runs import Outcome, RunStatus
from launcher.session import ServerRefusal
from tests.server.sessions import Way, listening, send, until
from tests.server.ways import each_release
from tests.stage.client import moment
from tests.stage.federation import Collaboration
from tests.stage.recorder import Recorder
from tests.stage.server_python import NEWEST

COMPLETED = Outcome(RunStatus.COMPLETED)


@pytest.mark.contract("§5 taken")
@pytest.mark.contract("§5 active")
@pytest.mark.contract("§5 completed")
@pytest.mark.contract("§5 finished is closed")
@pytest.mark.contract("§2 PATCH /run/{id}")
@pytest.mark.contract("§17 result and log")
async def test_a_task_is_heard_taken_and_its_result_delivered_once(way: Way, collaboration: Collaboration):
    async with way.online(collaboration) as (session, heard):
        task = await send(collaboration)
        await until(lambda: heard.new)
        (run,) = heard.new
        content = await session.take(run)
        assert content is not None
        assert b'"nothing"' in content
        taken = await asyncio.to_thread(task.run)
        assert taken["started_at"]
        assert taken["status"] == "pending"
        await session.report_active(run)
        assert task.statuses() == ["active"]
        await session.deliver(run, COMPLETED, b'{"answer": 42}', "worked\n")
        assert (await asyncio.to_thread(task.wait)).result() == {"answer": 42}
        done = await asyncio.to_thread(task.run)
        assert done["log"] == "worked\n"
        assert moment(done["started_at"]) <= moment(done["finished_at"])

        # Whoever comes later finds it closed, and changes nothing.
        assert await session.find(run.id) is None
        assert await session.take(run) is None
        await session.report_active(run)
        await session.deliver(run, Outcome(RunStatus.CRASHED), b"", "too late")
        assert await asyncio.to_thread(task.run) == done


@each_release
@pytest.mark.contract("§5 failed statuses")
@pytest.mark.contract("§18 4 every end has finished_at")
@pytest.mark.parametrize(
    "status",
    [status for status in RunStatus if status not in (RunStatus.PENDING, RunStatus.INITIALIZING, RunStatus.ACTIVE)],
)
async def test_every_end_closes_the_run(way: Way, collaboration: Collaboration, status: RunStatus):
    async with way.opened(collaboration) as session:
        task = await send(collaboration)
        (run,) = await session.open_runs()
        await session.deliver(run, Outcome(status), b"", "why")
        ended = await asyncio.to_thread(task.run)
        assert (ended["status"], ended["log"]) == (status.value, "why")
        assert ended["finished_at"]
        assert await session.open_runs() == []


@pytest.mark.contract("§5 siblings")
async def test_what_did_not_start_of_a_task_with_a_failure_is_not_taken(way: Way, collaboration: Collaboration):
    async with way.opened(collaboration) as first, way.opened(collaboration, node=1) as second:
        await send(collaboration, to=[0, 1])
        (ours,), (theirs,) = await first.open_runs(), await second.open_runs()
        await first.take(ours)
        await first.deliver(ours, Outcome(RunStatus.CRASHED), b"", "no such column")
        closed = way.server.version() == NEWEST  # older releases let the others run
        assert (await second.take(theirs) is None) == closed
        assert (await second.open_runs() == []) == closed


@pytest.mark.contract("§5 container token refused")
async def test_a_run_without_a_token_for_its_algorithm_is_not_open_any_more(way: Way, collaboration: Collaboration):
    """The task was killed after the run was taken, and the server gives no tokens for what ended."""
    async with way.opened(collaboration) as session:
        task = await send(collaboration)
        (run,) = await session.open_runs()
        assert await session.take(run)
        await asyncio.to_thread(collaboration.federation.root.task.kill, task.id)
        with pytest.raises(ServerRefusal, match="already finished"):
            await session.algorithm_token(run)
        await session.deliver(run, Outcome(RunStatus.START_FAILED), b"", "no token")
        assert await session.open_runs() == []
        ended = await asyncio.to_thread(task.run)
        assert (ended["status"], bool(ended["finished_at"])) == ("killed by user", True)


@each_release
@pytest.mark.contract("§5 times")
async def test_times_have_a_fraction_and_are_written_as_the_server_does(way: Way, collaboration: Collaboration):
    with Recorder("127.0.0.1", f"{way.server.url}:{way.server.port}") as recorder:
        async with way.opened(collaboration, port=recorder.port) as session:
            await send(collaboration)
            (run,) = await session.open_runs()
            await session.take(run)
            await session.deliver(run, COMPLETED, b"1", "")
        started, finished = recorder.patches(run.id)
        for text in (started.body["started_at"], finished.body["finished_at"]):
            assert (datetime.fromisoformat(text).tzinfo is None) == (
                datetime.fromisoformat(run.assigned_at).tzinfo is None
            )
            # Not by `assigned_at`: server 4.15 fills in its own start there.
            assert abs(moment(text) - datetime.now(UTC)) < timedelta(minutes=5)
            assert "." in text
        # Everything in one patch, as the server sets to null what is left out.
        assert set(finished.body) == {"status", "log", "finished_at", "result"}


@pytest.mark.contract("§5 a patch erases what it leaves out")
@pytest.mark.contract("§18 6 log survives")
@pytest.mark.contract("§12 algorithm_log")
async def test_a_log_grows_while_the_run_is_active_and_is_what_was_delivered_at_the_end(
    way: Way, collaboration: Collaboration
):
    async with way.online(collaboration) as (session, heard):
        task = await send(collaboration)
        await until(lambda: heard.new)
        (run,) = heard.new
        shows = way.server.version() == NEWEST  # older releases know no such event, and keep the log of the end alone
        await session.show_log(run, "The run waits.\n")
        assert task.run()["log"] == ("The run waits.\n" if shows else None)
        await session.report_active(run)
        for number in range(3):
            await session.show_log(run, f"line {number}\n")
        assert task.run()["log"] == ("line 0\nline 1\nline 2\n" if shows else None)
        await session.deliver(run, COMPLETED, b"1", "all of it")
        assert task.run()["log"] == "all of it"


@each_release
async def test_without_a_connection_a_log_is_not_shown_and_nothing_is_raised(way: Way, collaboration: Collaboration):
    async with way.opened(collaboration) as session:
        task = await send(collaboration)
        assert not await session.show_log((await session.open_runs())[0], "x\n")
        assert not task.run()["log"]


@pytest.mark.contract("§4 algorithm_status_change to the server")
@pytest.mark.contract("§18 9 event after patch")
async def test_who_hears_of_a_status_finds_it_at_the_server(way: Way, collaboration: Collaboration):
    found: list[tuple[dict[str, Any], str]] = []
    researcher = await asyncio.to_thread(collaboration.researcher)

    async def on_change(change: dict[str, Any]) -> None:
        found.append((change, (await asyncio.to_thread(researcher.client.run.get, change["run_id"]))["status"]))

    async with (
        way.online(collaboration) as (session, heard),
        listening(way, collaboration, algorithm_status_change=on_change),
    ):
        await send(collaboration)
        await until(lambda: heard.new)
        (run,) = heard.new
        await session.report_active(run)
        await until(lambda: len(found) == 1)
        await session.deliver(run, COMPLETED, b"1", "")
        await until(lambda: len(found) == 2)
    assert [(change["status"], status) for change, status in found] == [
        ("active", "active"),
        ("completed", "completed"),
    ]
    told = found[0][0]
    assert (told["run_id"], told["task_id"], told["job_id"]) == (run.id, run.task_id, run.job_id)
    assert told["node_id"] == session.identity.node_id
    assert told["organization_id"] == run.organization_id


@pytest.mark.contract("§4 algorithm_status_change from the server")
async def test_another_partys_failure_is_logged(
    way: Way, collaboration: Collaboration, caplog: pytest.LogCaptureFixture
):
    async with way.online(collaboration), way.online(collaboration, node=1) as (other, heard):
        await send(collaboration, to=[1])
        await until(lambda: heard.new)
        await other.deliver(heard.new[0], Outcome(RunStatus.CRASHED), b"", "")
        await until(lambda: "a run of another node failed" in caplog.text)


@each_release
@pytest.mark.contract("§18 5 nothing is lost when the delivery fails")
async def test_a_delivery_that_got_no_answer_is_repeated_and_counts_once(way: Way, collaboration: Collaboration):
    lost = []
    with Recorder("127.0.0.1", f"{way.server.url}:{way.server.port}") as recorder:
        async with way.opened(collaboration, port=recorder.port) as session:
            task = await send(collaboration)
            (run,) = await session.open_runs()
            recorder.intercept = lambda method, path, _: 502 if method == "PATCH" and not lost.append(path) else None
            with pytest.raises(Exception, match="502"):
                await session.deliver(run, COMPLETED, b"1", "")
            recorder.intercept = None
            await session.deliver(run, COMPLETED, b"1", "")
            await session.deliver(run, COMPLETED, b"2", "")
        assert len(lost) == 1
        assert (await asyncio.to_thread(task.wait)).result() == 1
