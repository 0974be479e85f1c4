"""The proof of concept's session, against its dummy server on loopback; the task volume is a real folder."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import socketio
from aiohttp.test_utils import TestServer

from launcher.config.node import NodeSection
from launcher.runs import Outcome, Run, RunStatus
from launcher.session.poc import PocSession
from tests.poc.command_emitter import example
from tests.poc.dummy_server import application

IMAGE = "ghcr.io/example/average:1"


class Listener:
    def __init__(self) -> None:
        self.open: list[list[Run]] = []
        self.new: list[Run] = []
        self.ended: list[int] = []

    def open_runs(self, runs: list[Run]) -> None:
        self.open.append(runs)

    def new_runs(self, runs: list[Run]) -> None:
        self.new += runs

    def killed(self, run_ids: list[int] | None) -> None:
        self.ended += run_ids or []


class Stage:
    """A server, a node's session, and an emitter that hears what the node replies."""

    def __init__(self, folder, http, server: TestServer) -> None:
        self.folder, self.http, self.server = folder, http, server
        self.node = NodeSection.model_validate(
            {
                "server_url": f"http://{server.host}",
                "port": server.port,
                "databases": [{"label": "default", "type": "csv", "uri": "/data/e.csv"}],
            }
        )
        self.replies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.emitter = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        self.emitter.on("reply", self.replies.put)

    async def join(self) -> None:
        """Start a node's session, and wait until it is online."""
        self.listener = Listener()
        self.session = PocSession(self.http, self.node, self.folder)
        await self.session.open()
        self.connection = asyncio.create_task(self.session.stay_connected(self.listener))
        await until(lambda: self.session.online and self.listener.open)

    async def leave(self) -> None:
        self.connection.cancel()
        await asyncio.wait({self.connection})

    async def ask(self, payload: Any) -> dict[str, Any]:
        await self.emitter.emit("command_request", payload)
        return await self.heard()

    async def heard(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.replies.get(), 5)


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def stage(tmp_path) -> AsyncIterator[Stage]:
    async with TestServer(application()) as server, aiohttp.ClientSession() as http:
        stage = Stage(tmp_path, http, server)
        await stage.join()
        await stage.emitter.connect(f"http://{server.host}:{server.port}")
        yield stage
        await stage.emitter.disconnect()
        await stage.leave()


async def accepted(stage: Stage, run_id: int = 7, **changes: Any) -> Run:
    assert (await stage.ask(example(IMAGE, run_id, **changes)))["ok"]
    return stage.listener.new[-1]


async def ended(stage: Stage, run: Run, output: dict[str, bytes], log: str = "hello", result: bytes = b"") -> Any:
    directory = stage.folder / str(run.output_directory)
    directory.mkdir(parents=True)
    for name, content in output.items():
        (directory / name).write_bytes(content)
    await stage.session.deliver(run, Outcome(RunStatus.COMPLETED), result, log)
    return await stage.heard()


async def test_a_run_is_taken_with_what_the_node_has(stage):
    reply = await stage.ask(example(IMAGE, 7))
    assert (reply["command"], reply["run_id"], reply["ok"], reply["status"]) == ("run", 7, True, "pending")
    assert [warning.split(",")[0] for warning in reply["warnings"]] == [
        f"Database 'db{number}' is not here" for number in (1, 2, 3)
    ]
    (run,) = stage.listener.new
    assert run.arguments == ("/app/input/csv/default", "Age", "/app/output/avg.txt")
    assert [database.label for database in run.databases] == ["default"]
    assert run.output_directory == "7/output"
    assert await stage.session.take(run) == b"input1"
    assert await stage.session.algorithm_token(run) == "example_token"
    assert await stage.session.find(7) == run
    assert await stage.session.find(8) is None


async def test_the_same_number_twice_is_one_run(stage):
    run = await accepted(stage)
    for _ in range(2):
        reply = await stage.ask(example("other:1", 7))
        assert not reply["ok"]
        assert "Run 7 is known already" in reply["message"]
        if await stage.session.find(7):
            await ended(stage, run, {})
    assert stage.listener.new == [run]


async def test_the_same_number_twice_at_once_is_one_run(stage):
    for _ in range(5):
        await stage.emitter.emit("command_request", example(IMAGE, 7))
    replies = [await stage.heard() for _ in range(5)]
    assert sorted(reply["ok"] for reply in replies) == [False] * 4 + [True]
    assert len(stage.listener.new) == 1


async def test_runs_of_one_temporary_volume_share_it(stage):
    runs = [await accepted(stage, number, tmp_vol_name=name) for number, name in ((1, "a"), (2, "a"), (3, "b"))]
    assert runs[0].job_id == runs[1].job_id != runs[2].job_id


async def test_each_change_is_told(stage):
    run = await accepted(stage)
    await stage.session.take(run)
    await stage.session.report_active(run)
    assert [(await stage.heard())["status"] for _ in range(2)] == ["initializing", "active"]
    told = await ended(stage, run, {"avg.txt": b"41.5", "raw": b"\xff"}, result=b"{}")
    assert (told["status"], told["log"], told["run_id"]) == ("completed", "hello", 7)
    assert told["files"] == [
        {"path": "7/result", "text": "{}"},
        {"path": "7/output/avg.txt", "text": "41.5"},
        {"path": "7/output/raw", "base64": "/w=="},
    ]
    assert await stage.session.take(run) is None


async def test_what_became_of_a_run_can_be_asked_for(stage):
    run = await accepted(stage)
    assert (await stage.ask({"command": "result", "run_id": 7}))["status"] == "pending"
    told = await ended(stage, run, {"avg.txt": b"41.5"})
    asked = await stage.ask({"command": "result", "run_id": 7, "request": "x1"})
    assert asked == {**told, "command": "result", "request": "x1", "ok": True}
    unknown = await stage.ask({"command": "result", "run_id": 8})
    assert (unknown["ok"], unknown["message"]) == (
        False,
        "Run 8 is not known here; the command list shows those that are.",
    )


async def test_runs_are_listed_the_last_first(stage):
    run = await accepted(stage, 5)
    await ended(stage, run, {})
    await accepted(stage, 3)
    listed = await stage.ask({"command": "list"})
    assert [(entry["run_id"], entry["status"]) for entry in listed["runs"]] == [(3, "pending"), (5, "completed")]
    assert listed["left_off"] == 0


async def test_an_open_run_can_be_killed_and_no_other(stage):
    run = await accepted(stage)
    assert (await stage.ask({"command": "kill", "run_id": 7}))["ok"]
    assert stage.listener.ended == [7]
    await ended(stage, run, {})
    late = await stage.ask({"command": "kill", "run_id": 7})
    assert late["message"] == "Run 7 has ended already, its status is completed."
    assert not (await stage.ask({"command": "kill", "run_id": 8}))["ok"]
    assert stage.listener.ended == [7]


async def test_a_refusal_is_told_to_whom_it_concerns(stage):
    reply = await stage.ask(example(IMAGE, 7, request="x1", tmp_vol_name="../other"))
    assert (reply["ok"], reply["command"], reply["run_id"], reply["request"]) == (False, "run", 7, "x1")
    assert reply["message"].startswith("tmp_vol_name '../other' can't be used; ")
    assert stage.listener.new == []
    assert list(stage.folder.iterdir()) == []


@pytest.mark.parametrize("payload", [5, [1, 2], {"run_id": {"a": 1}}, {"command": ["run"]}, "x" * 100_000])
async def test_nothing_that_is_sent_ends_the_session(stage, payload):
    assert not (await stage.ask(payload))["ok"]
    assert (await stage.ask({"command": "list"}))["ok"]


async def test_a_node_that_starts_anew_goes_on_with_what_is_open(stage):
    done, going = await accepted(stage, 1), await accepted(stage, 2)
    await ended(stage, done, {})
    await stage.leave()
    assert not stage.session.online
    await stage.join()
    assert stage.listener.open == [[going]]
    assert (await stage.ask(example(IMAGE, 1)))["ok"] is False
    assert await stage.session.take(going) == b"input1"


async def test_a_connection_that_ends_is_made_again(stage, monkeypatch):
    monkeypatch.setattr("launcher.backoff.backoff", lambda *_: 0.01)
    await stage.session._socket.disconnect()
    await until(lambda: len(stage.listener.open) == 2 and stage.session.online)
    assert (await stage.ask({"command": "list"}))["ok"]


async def test_what_ends_while_nobody_hears_is_kept(stage):
    run = await accepted(stage)
    await stage.leave()
    await stage.session.deliver(run, Outcome(RunStatus.CRASHED, "It ended with exit code 3."), b"", "")
    await stage.join()
    told = await stage.ask({"command": "result", "run_id": 7})
    assert (told["status"], told["message"]) == ("crashed", "It ended with exit code 3.")


async def test_input_and_token_are_forgotten_with_the_run(stage):
    run = await accepted(stage, docker_input="s3cret-input", token="s3cret-token")
    await ended(stage, run, {})
    kept = json.loads((stage.folder / "7" / "run.json").read_text())
    assert (kept["content"], kept["token"]) == ("", "")


async def test_hostile_output_is_neither_followed_nor_sent(stage):
    run = await accepted(stage)
    directory = stage.folder / str(run.output_directory)
    directory.mkdir(parents=True)
    (stage.folder / "secret").write_text("s3cret")
    (directory / "link").symlink_to(stage.folder / "secret")
    os.link(stage.folder / "secret", directory / "hard")
    os.mkfifo(directory / "pipe")
    (directory / "folder").mkdir()
    (directory / "huge").write_bytes(b"\x01" * 100_000)
    os.truncate(os.open(directory / "sparse", os.O_CREAT | os.O_WRONLY), 2**40)
    (directory / os.fsdecode(b"\xff\n")).write_text("odd")
    for number in range(100):
        (directory / f"many-{number}").touch()
    await stage.session.deliver(run, Outcome(RunStatus.COMPLETED), b"", "\x00" * 10**6)
    told = await stage.heard()
    assert "s3cret" not in json.dumps(told)
    assert len(told["files"]) == 32
    assert (await stage.ask({"command": "result", "run_id": 7}))["ok"]


async def test_a_full_volume_is_told_and_nothing_is_started(stage, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("launcher.session.poc_journal.replace_file", full)
    reply = await stage.ask(example(IMAGE, 7))
    assert reply["message"].startswith("The node's task volume can't be used (No space left on device)")
    assert stage.listener.new == []
    monkeypatch.undo()
    await accepted(stage)
