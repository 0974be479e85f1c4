"""The algorithms' proxy before a real server, in a collaboration that is not encrypted: what passes, and what does not.

Behind the proxy a recorder counts what reaches the server. tests/server/test_encryption.py has the encrypted side.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import requests

from launcher.runs import Outcome, Run, RunStatus
from launcher.session.v4 import V4Session
from tests.server.site import Site
from tests.stage.federation import Federation
from tests.stage.recorder import Exchange, Recorder
from tests.stage.task import Task

INPUT = base64.b64encode(json.dumps({"method": "part", "args": [], "kwargs": {}}).encode()).decode()


@dataclass
class Scene:
    """A central function, with its way to the server."""

    site: Site
    session: V4Session
    run: Run
    token: str
    algorithm: aiohttp.ClientSession
    recorder: Recorder

    def subtask(self, **more: Any) -> dict[str, Any]:
        new = {"name": "part", "image": self.run.image, "collaboration_id": self.run.collaboration_id}
        return {**new, "organizations": [{"id": self.site.organization.id, "input": INPUT}], **more}

    def asked(self, path: str) -> list[Exchange]:
        return [each for each in self.recorder.exchanges if each.path == f"/api{path}"]

    async def directly(self, path: str) -> tuple[int, Any]:
        """What the server itself answers to the algorithm's token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = await asyncio.to_thread(lambda: requests.get(self.site.server.api + path, headers=headers, timeout=10))
        return answer.status_code, answer.json()


@pytest.fixture(scope="module")
def site(federation: Federation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    study = federation.collaboration("Study", [federation.organization("Hospital"), federation.organization("Clinic")])
    yield Site(study, study.nodes[0], tmp_path_factory.mktemp("keys"), enabled=False)


@pytest.fixture
async def scene(site: Site) -> AsyncIterator[Scene]:
    with Recorder("127.0.0.1", f"{site.server.url}:{site.server.port}") as recorder:
        async with site.session() as session:
            researcher = await asyncio.to_thread(site.researcher)
            task = await asyncio.to_thread(researcher.send, "localhost/none:1", "central", to=[site.organization])
            (run,) = await session.open_runs(task.id)
            await session.take(run)
            token = await session.algorithm_token(run)
            api = f"http://127.0.0.1:{recorder.port}/api"
            async with site.proxy(session, token, api) as algorithm:
                yield Scene(site, session, run, token, algorithm, recorder)


@pytest.mark.contract("§10 POST /task without organizations")
async def test_a_task_for_nobody_is_400(scene: Scene):
    for organizations in ([], None):
        answer = await scene.algorithm.post("/task", json=scene.subtask(organizations=organizations))
        assert answer.status == 400
        assert "Organizations missing from input" in (await answer.json())["msg"]
    assert scene.asked("/task") == []


@pytest.mark.contract("§10 POST /task of another image")
@pytest.mark.parametrize(
    "other", [{"image": "localhost/other:1"}, {"collaboration_id": 4711}, {"databases": [{"label": "other"}]}]
)
async def test_a_task_that_is_none_of_the_algorithms_is_403(scene: Scene, other: dict[str, Any]):
    assert (await scene.algorithm.post("/task", json=scene.subtask(**other))).status == 403
    assert scene.asked("/task") == []


@pytest.mark.contract("§10 POST /task")
@pytest.mark.contract("§10 subtasks")
@pytest.mark.contract("§10 GET /result")
@pytest.mark.contract("§10 GET /result/{id}")
@pytest.mark.contract("§18 2 /result/{id}")
async def test_a_subtask_and_its_results_all_and_one(scene: Scene):
    answer = await scene.algorithm.post("/task", json=scene.subtask())
    child = await answer.json()
    assert answer.status == 201, child
    parent = scene.site.collaboration.federation.root.task.get(scene.run.task_id)
    assert child["parent"]["id"] == scene.run.task_id
    assert (child["job_id"], child["init_user"]["id"]) == (parent["job_id"], parent["init_user"]["id"])
    assert child["init_org"]["id"] == scene.site.organization.id
    (part,) = await scene.session.open_runs(child["id"])
    assert (part.parent_id, part.job_id) == (scene.run.task_id, scene.run.job_id)
    assert json.loads(await scene.session.take(part) or b"") == json.loads(base64.b64decode(INPUT))
    await scene.session.deliver(part, Outcome(RunStatus.COMPLETED), b'{"part": 1}', "")

    page = await scene.algorithm.get("/result", params={"task_id": child["id"], "page": 1})
    assert page.status == 200
    (listed,) = (await page.json())["data"]
    one = await scene.algorithm.get(f"/result/{part.id}")
    assert (one.status, (await one.json())["id"]) == (200, listed["id"])
    assert [json.loads(base64.b64decode(each["result"])) for each in (listed, await one.json())] == [{"part": 1}] * 2


@pytest.mark.contract("§10 GET /result without task_id")
@pytest.mark.parametrize("path", ["/result", "/result?page=1", "/run"])
async def test_results_of_no_task_are_400(scene: Scene, path: str):
    answer = await scene.algorithm.get(path)
    assert (answer.status, "task_id" in (await answer.json())["msg"]) == (400, True)
    assert scene.recorder.exchanges == []


@pytest.mark.contract("§10 other paths")
async def test_what_vantage6s_client_asks_is_answered_as_the_server_does(scene: Scene):
    run, organization = scene.run, scene.site.organization
    paths = [
        f"/organization?collaboration_id={run.collaboration_id}&page=1",
        f"/organization/{organization.id}",
        "/blobstream/status",
        f"/task/{run.task_id}",
        f"/task/{run.task_id}/status",
        f"/run/{run.id}",
        f"/run?task_id={run.task_id}",
        f"/result?task_id={run.task_id}&page=1",
        f"/collaboration/{run.collaboration_id}",
        f"/study?collaboration_id={run.collaboration_id}",
    ]
    for path in paths:
        answer = await scene.algorithm.get(path)
        assert (answer.status, await answer.json()) == await scene.directly(path), path
        assert answer.status == 200 or path.startswith("/study"), "which the server refuses a container"


@pytest.mark.contract("§10 other paths")
@pytest.mark.contract("§18 3 4xx through the proxy")
async def test_what_the_server_refuses_is_not_asked_again_and_stays_what_it_is(scene: Scene):
    path = "/organization/4711"
    answer = await scene.algorithm.get(path)
    assert (answer.status, await answer.json()) == await scene.directly(path)
    assert [each.status for each in scene.asked(path)] == [answer.status] == [404]

    stranger = scene.site.collaboration.federation.organization(f"Stranger {scene.run.id}")
    refused = await scene.algorithm.post(
        "/task", json=scene.subtask(organizations=[{"id": stranger.id, "input": INPUT}])
    )
    assert refused.status == 400
    assert "not within the collaboration" in (await refused.json())["msg"]
    assert len(scene.asked("/task")) == 1

    head, claims, _ = scene.token.split(".")
    forged = {"Authorization": f"Bearer {head}.{claims}.{'A' * 43}"}
    unknown = await scene.algorithm.get(f"/organization/{scene.site.organization.id}", headers=forged)
    assert (unknown.status, (await unknown.json())["msg"]) == (422, "Signature verification failed")


@pytest.mark.contract("§10 an outage of the server")
async def test_what_changes_nothing_is_tried_again_while_the_server_is_away_and_a_new_task_is_not(scene: Scene):
    tried: list[str] = []

    def away_once(method: str, path: str, body: Any) -> int | None:
        tried.append(method)
        return 503 if tried.count(method) == 1 else None

    scene.recorder.intercept = away_once
    assert (await scene.algorithm.get(f"/organization/{scene.site.organization.id}")).status == 200
    assert (await scene.algorithm.post("/task", json=scene.subtask())).status == 503
    assert tried == ["GET", "GET", "POST"]


@pytest.mark.contract("§10 what is passed on")
async def test_token_query_and_body_reach_the_server_and_no_other_header_of_the_algorithm(scene: Scene):
    more = {"Cookie": "a=b", "X-Forwarded-For": "10.0.0.1", "Server-Url": "https://elsewhere.example.org"}
    path = f"/organization?collaboration_id={scene.run.collaboration_id}&page=1"
    assert (await scene.algorithm.get(path, headers=more)).status == 200
    assert (await scene.algorithm.post("/task", json=scene.subtask(), headers=more)).status == 201
    listed, created = scene.asked("/organization")[0], scene.asked("/task")[0]
    assert listed.query == path.partition("?")[2]
    assert created.body == scene.subtask()
    for each in (listed, created):
        assert each.headers["Authorization"] == f"Bearer {scene.token}"
        assert not set(more) & set(each.headers)


@pytest.mark.contract("§10 nothing else")
async def test_users_nodes_other_tasks_and_changes_are_403(scene: Scene):
    researcher = await asyncio.to_thread(scene.site.researcher)
    other: Task = await asyncio.to_thread(researcher.send, "localhost/none:1", "other", to=[scene.site.organization])
    run = {"GET": ["/user", "/node", "/role", "/task", f"/task/{other.id}", f"/result?task_id={other.id}"]}
    run |= {"PATCH": [f"/run/{scene.run.id}"], "DELETE": [f"/task/{scene.run.task_id}"], "POST": ["/kill/task"]}
    for method, paths in run.items():
        for path in paths:
            assert (await scene.algorithm.request(method, path, json={})).status == 403, (method, path)
    assert {each.method for each in scene.recorder.exchanges} <= {"GET"}, "whose child a task is has to be looked up"
    assert (await asyncio.to_thread(scene.site.collaboration.federation.root.run.get, scene.run.id))[
        "status"
    ] == "pending"
