"""The stage by itself: a real server and client on loopback, with a node that only knows REST."""

import asyncio
import base64
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import socketio

from tests.stage import StageError
from tests.stage.federation import Collaboration, Federation, NodeAccount, Researcher
from tests.stage.recorder import Recorder
from tests.stage.server import Server
from tests.stage.waiting import wait_until


@pytest.fixture(scope="module")
def study(federation: Federation) -> Collaboration:
    names = ("Hospital North", "Hospital South")
    return federation.collaboration("Study", [federation.organization(name) for name in names])


@pytest.fixture(scope="module")
def researcher(study: Collaboration) -> Researcher:
    return study.researcher()


class ThinNode:
    """Just enough of a node to answer runs: it logs in and patches what it is told to."""

    def __init__(self, server: Server, account: NodeAccount, api: str = "") -> None:
        self.api = api or server.api
        self.account = account
        token = requests.post(f"{self.api}/token/node", json={"api_key": account.api_key}, timeout=10)
        token.raise_for_status()
        self.headers = {"Authorization": f"Bearer {token.json()['access_token']}"}

    def open_runs(self) -> list[dict[str, Any]]:
        query: dict[str, str | int] = {"state": "open", "node_id": self.account.id, "include": "task"}
        answer = requests.get(f"{self.api}/run", params=query, headers=self.headers, timeout=10)
        answer.raise_for_status()
        return list(answer.json()["data"])

    def patch(self, run: dict[str, Any], **body: str) -> requests.Response:
        return requests.patch(f"{self.api}/run/{run['id']}", json=body, headers=self.headers, timeout=10)

    def finish(self, run: dict[str, Any], result: object, status: str = "completed", log: str = "") -> None:
        text = base64.b64encode(json.dumps(result).encode()).decode()
        now = datetime.now(UTC).isoformat()
        self.patch(run, status=status, result=text, log=log, started_at=now, finished_at=now).raise_for_status()


def test_a_task_reaches_each_node_and_its_results_come_back(
    server: Server, study: Collaboration, researcher: Researcher
) -> None:
    task = researcher.send("localhost/some:image", "partial", column="age", databases=["default"])
    assert task.statuses() == ["pending", "pending"]
    assert not task.finished()
    for answer, account in zip((1, 2), study.nodes, strict=True):
        node = ThinNode(server, account)
        (run,) = node.open_runs()
        assert run["task"]["image"] == "localhost/some:image"
        assert run["task"]["databases"] == [{"label": "default", "parameters": "{}"}]
        assert json.loads(base64.b64decode(run["input"])) == {
            "method": "partial",
            "args": [],
            "kwargs": {"column": "age"},
        }
        node.finish(run, {"answer": answer})
    assert task.wait(5).results() == [{"answer": 1}, {"answer": 2}]


def test_a_crashed_run_is_reported_with_its_log(server: Server, study: Collaboration, researcher: Researcher) -> None:
    north = study.nodes[0]
    task = researcher.send("localhost/some:image", "partial", to=[north.organization])
    node = ThinNode(server, north)
    (run,) = node.open_runs()
    node.finish(run, None, status="crashed", log="ValueError: no such column")
    with pytest.raises(StageError, match="no such column"):
        task.wait(5).results()


def test_waiting_ends_with_a_sentence_about_the_runs(researcher: Researcher) -> None:
    task = researcher.send("localhost/some:image", "partial")
    with pytest.raises(StageError, match=rf"task {task.id} has runs \d+ pending"):
        task.wait(0.5)


def test_a_node_that_never_connected_is_offline(study: Collaboration, researcher: Researcher) -> None:
    assert researcher.node_status(study.nodes[0]) == "offline"


def test_a_refused_creation_is_an_error_and_not_an_empty_answer(study: Collaboration) -> None:
    with pytest.raises(StageError, match="Study"):
        study.federation.collaboration("Study", [study.nodes[0].organization])


def test_a_restarted_server_keeps_data_and_port_and_a_new_secret_voids_tokens(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    try:
        before = (server.port, server.root_password)
        federation = Federation(server)
        organization, token = federation.organization("Hospital East"), federation.root.headers
        server.restart(new_jwt_secret=True)
        refused = requests.get(f"{server.api}/organization/{organization.id}", headers=token, timeout=10)
        assert refused.status_code == 422
        assert (server.port, server.root_password) == before
        assert Federation(server).root.organization.get(organization.id)["name"] == "Hospital East"
    finally:
        server.stop()
    assert not server.running
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{server.api}/version", timeout=2)


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_a_node_lives_behind_the_recorder_which_counts_its_deliveries(
    server: Server, study: Collaboration, researcher: Researcher, transport: str
) -> None:
    account = study.nodes[0]
    base = f"{server.url}:{server.port}"
    with Recorder("127.0.0.1", base) as recorder:
        node = ThinNode(server, account, f"http://127.0.0.1:{recorder.port}/api")
        heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        client = socketio.AsyncClient()
        client.on("new_task", heard.put_nowait, namespace="/tasks")
        await client.connect(
            f"http://127.0.0.1:{recorder.port}", headers=node.headers, namespaces=["/tasks"], transports=[transport]
        )
        assert await asyncio.to_thread(researcher.node_status, account) == "online"
        task = await asyncio.to_thread(researcher.send, "an:image", "f", to=[account.organization])
        assert (await asyncio.wait_for(heard.get(), 10))["id"] == task.id
        run = next(run for run in await asyncio.to_thread(node.open_runs) if run["task"]["id"] == task.id)
        await asyncio.to_thread(node.finish, run, 1)
        refused = await asyncio.to_thread(node.patch, run, finished_at="2026-01-01T00:00:00+00:00")
        await client.disconnect()
    assert refused.status_code == 400
    assert [each.status for each in recorder.patches(run["id"])] == [200, 400]
    assert [each.body["status"] for each in recorder.deliveries(run["id"])] == ["completed"]


def test_the_root_password_is_not_the_one_everybody_knows(server: Server) -> None:
    answer = requests.post(f"{server.api}/token/user", json={"username": "root", "password": "root"}, timeout=10)
    assert answer.status_code == 401


def test_a_second_process_finds_the_server_by_its_folder(server: Server) -> None:
    again = Server(server.folder)
    assert again.running
    assert again.api == server.api


def test_a_server_ends_with_the_process_that_started_it_however_that_ends(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from tests.stage.server import Server
from tests.stage.waiting import wait_until
Server(Path({str(tmp_path)!r})).start()
os.kill(os.getpid(), signal.SIGKILL)
"""
    parent = subprocess.run([sys.executable, "-c", code], check=False)
    assert parent.returncode == -signal.SIGKILL
    server = Server(tmp_path)
    assert json.loads((tmp_path / "server.json").read_text())["pid"], "it had started"
    wait_until(lambda: not server.running, 10, lambda: "the server still runs")
