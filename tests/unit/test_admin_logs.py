"""Programs run in the launcher's pod, and logs on a terminal."""

import asyncio
import inspect
import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes.aio import client

from launcher.admin import inpod
from launcher.admin.asking import ROUTES, kept_log, told
from launcher.admin.cluster import Where
from launcher.admin.execution import execute
from launcher.admin.runlog import Harmless
from launcher.connection import Connection
from launcher.keptlog import KeptLog
from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi
from launcher.logstream import Line
from launcher.status import Status
from tests.unit.apiserver import ApiServer

POD = "/api/v1/namespaces/v6-node/pods/v6-node-launcher-0"


class Launcher:
    """An API server with a launcher, and its client."""

    def __init__(self) -> None:
        self.server = ApiServer()

    async def __aenter__(self) -> KubeApi:
        self._serving = self.server.serving()
        self.api = KubeApi(client.Configuration(host=await self._serving.__aenter__()))
        return self.api

    async def __aexit__(self, *_: object) -> None:
        await self.api.close()
        await self._serving.__aexit__(None, None, None)


async def test_what_a_program_prints():
    launcher = Launcher()
    launcher.server.program = lambda command: (" ".join(command).encode() + b"\x00\xff", "")
    async with launcher as api:
        assert await execute(api, POD, ["echo", "a b", "c&d"], container="launcher") == b"echo a b c&d\x00\xff"


async def test_a_program_that_fails_says_why_in_its_last_line():
    launcher = Launcher()
    launcher.server.program = lambda _: (b"half", "Traceback:\nOSError: gone")
    async with launcher as api:
        with pytest.raises(ApiRefusal, match=r"^OSError: gone$") as refusal:
            await execute(api, POD, ["python"], container="launcher")
        assert refusal.value.status == 500
        assert await kept_log(api, Where("v6-node"), 7) is None


@pytest.mark.parametrize(("status", "kind"), [(403, ApiRefusal), (404, ApiRefusal), (500, ClusterUnavailable)])
async def test_what_is_not_allowed_or_not_there(status: int, kind: type[Exception]):
    launcher = Launcher()
    launcher.server.refuse[".*/exec"] = status
    async with launcher as api:
        with pytest.raises(kind):
            await execute(api, POD, ["python"], container="launcher")
        assert (await told(api, Where("v6-node")))[0] is None


async def test_a_connection_that_ends_before_the_program():
    launcher = Launcher()
    launcher.server.ends_early = True
    async with launcher as api:
        with pytest.raises(ClusterUnavailable, match="before the program did"):
            await execute(api, POD, ["python"], container="launcher")


def in_pod(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """As it is executed there: with the standard library alone."""
    command = [sys.executable, "-I", "-S", "-c", inspect.getsource(inpod), *arguments]
    return subprocess.run(command, capture_output=True, check=False)


@pytest.mark.parametrize("folder", ["runs/7-abcdef01/log", "logs/7-abcdef01"])
def test_a_kept_log_is_read_and_left_as_it_is(tmp_path: Path, folder: str):
    (tmp_path / folder).mkdir(parents=True)
    log = KeptLog(tmp_path / folder, 400)
    for number in range(5):
        log.append([Line(number, f"line {number}\n".encode())])
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / folder).iterdir()}
    done = in_pod("log", str(tmp_path), "7")
    assert done.stdout.decode() == log.text() == "".join(f"line {number}\n" for number in range(5))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / folder).iterdir()} == before
    for number in range(5, 300):
        log.append([Line(number, f"line {number}\n".encode())])
    lines = in_pod("log", str(tmp_path), "7").stdout.decode().splitlines()
    assert (lines[0], lines[-1]) == ("line 0", "line 299")
    assert len([line for line in lines if line.startswith("[... ") and line.endswith(" bytes left out ...]")]) == 1


def test_a_run_of_which_nothing_is_kept(tmp_path: Path):
    (tmp_path / "logs" / "71-abcdef01").mkdir(parents=True)
    done = in_pod("log", str(tmp_path), "7")
    assert (done.returncode, done.stdout) == (1, b"")


async def test_a_launchers_status_is_asked_by_route():
    status = Status(Connection())
    # One for each family, each with a port of its own.
    port = next(address[1] for address in await status.serve(0) if address[0] == "0.0.0.0")
    try:
        base = f"http://127.0.0.1:{port}"
        done = await asyncio.to_thread(in_pod, "status", base, *ROUTES, "none")
    finally:
        await status.close()
    told = json.loads(done.stdout)
    assert told["readyz"] == "the API server\n"
    assert told["connection"]["online"] is False and told["databases"] == []
    assert "reason" in told["isolation"] and "reason" in told["identity"]
    assert json.loads((await asyncio.to_thread(in_pod, "status", "http://127.0.0.1:9", "readyz")).stdout) == {}


@settings(deadline=None)
@given(st.text(), st.lists(st.integers(0, 40), max_size=4))
def test_a_terminal_gets_the_text_whole_and_no_command(text: str, cuts: list[int]):
    content = text.encode(errors="replace")
    harmless, shown, begin = Harmless(), "", 0
    for cut in [*sorted(cuts), len(content)]:
        shown += harmless.text(content[begin:cut])
        begin = max(begin, cut)
    expected = content.decode()
    assert len(shown) == len(expected)
    assert all(a == b or unicodedata.category(b) == "Cc" for a, b in zip(shown, expected, strict=True))
    assert not [each for each in shown if unicodedata.category(each) == "Cc" and each not in "\n\t"]
