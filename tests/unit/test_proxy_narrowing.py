"""What an algorithm gets through the proxy, and what not: the server would tell it of the whole collaboration."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from tests.unit.proxied_server import BLOB, HEADERS, SUBJECT, TASK, Server, proxied, token

# Task 7 is the algorithm's, 8 its child, 9 a grandchild, 5 somebody else's; run 70 is of task 7, and so on.
PARENTS = {7: None, 8: 7, 9: 8, 5: None}


@pytest.fixture
def server() -> Server:
    server = Server()

    async def answer(request: web.Request) -> web.StreamResponse:
        _, _, kind, *number = request.path.split("/")
        if number and kind == "task" and int(number[0]) in PARENTS:
            parent = PARENTS[int(number[0])]
            return web.json_response({"parent": parent and {"id": parent}})
        if number and kind == "run":
            return web.json_response({"task": {"id": int(number[0]) // 10}})
        return web.json_response({"msg": "not here"}, status=404 if kind == "task" else 200)

    server.answer = answer
    return server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[TestClient[Any, Any]]:
    async with proxied(server) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "/task/7",
        "/task/8/status",
        "/run?task_id=7",
        "/run/70",
        "/run/80",
        "/result?task_id=8&page=2",
        "/result/80",
        "/organization?collaboration_id=3&page=1",
        "/organization?study_id=2",
        "/organization/12",
        "/collaboration/3",
        "/study/2",
        "/study?collaboration_id=3",
        "/vpn/algorithm/addresses?only_children=1",
        "/blobstream/status",
    ],
)
async def test_what_an_algorithm_needs_reaches_the_server(client: Any, server: Server, path: str) -> None:
    assert (await client.get(path)).status == 200
    assert server.seen[-1][1] == "/api" + path
    assert server.seen[-1][2]["Authorization"] == HEADERS["Authorization"]


@pytest.mark.parametrize(
    "path",
    [
        "/task/5",
        "/task/9",
        "/task/5/status",
        "/run?task_id=5",
        "/run/50",
        "/run/90",
        "/result?task_id=9",
        "/result/50",
        "/collaboration/4",
        "/organization",
        "/organization?collaboration_id=4",
        "/organization?collaboration_id=3&collaboration_id=4",
        "/organization?name=a",
        "/task",
        "/task?parent_id=7",
        "/user",
        "/node/4",
        "/role",
        "/version",
        "/task/7/",
        "/task//7",
        "/token/container",
        f"/blobstream/{BLOB}x",
    ],
)
async def test_anything_else_is_refused_with_a_sentence(client: Any, server: Server, path: str) -> None:
    answer = await client.get(path)
    assert answer.status == 403
    assert len((await answer.json())["msg"]) > 30
    asked = {seen[1].partition("?")[0] for seen in server.seen}
    assert asked <= {f"/api/task/{number}" for number in PARENTS} | {"/api/run/50", "/api/run/90"}


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize("path", ["/run/70", "/task/7", "/organization/2", "/node/4", "/port", "/token/refresh"])
async def test_nothing_is_changed(client: Any, server: Server, method: str, path: str) -> None:
    assert (await client.request(method, path, json={})).status == 403
    assert server.seen == []


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"image": "other"}, 403, "its own image"),
        ({"image": "evil/img"}, 403, "its own image"),
        ({"image": None}, 403, "its own image"),
        ({"collaboration_id": 4}, 403, "collaboration 3"),
        ({"databases": [{"label": "default"}, {"label": "secret"}]}, 403, "Database 'secret'"),
        ({"databases": "secret"}, 403, "which has default"),
        ({"databases": [{"name": "x"}]}, 400, "'label'"),
        ({"databases": {"label": "secret"}}, 400, "'databases' is not a list"),
        ({"organizations": [1]}, 400, "list of {id, input}"),
        ({"organizations": [{"id": "1"}]}, 400, "list of {id, input}"),
    ],
)
async def test_a_task_that_is_not_the_algorithm_s_to_create(
    client: Any, server: Server, *, change: dict[str, Any], status: int, says: str
) -> None:
    answer = await client.post("/task", json={**TASK, **change})
    assert (answer.status, says in (await answer.json())["msg"]) == (status, True)
    assert server.seen == []


@pytest.mark.parametrize("databases", [None, [], "default", [{"label": "default", "query": "x"}]])
async def test_a_task_with_the_algorithm_s_own_databases_passes(client: Any, server: Server, databases: Any) -> None:
    assert (await client.post("/task", json={**TASK, "databases": databases})).status in {200, 404}
    assert len(server.seen) == 1


@pytest.mark.parametrize("key", ["node_id", "organization_id", "collaboration_id"])
async def test_another_node_s_algorithm_is_not_served(client: Any, server: Server, key: str) -> None:
    theirs = {"Authorization": f"Bearer {token({**SUBJECT, key: 99})}"}
    answer = await client.get("/task/7", headers=theirs)
    assert (answer.status, server.seen) == (403, [])
    assert "another node's" in (await answer.json())["msg"]


async def test_a_blob_is_only_given_to_who_created_the_task_it_is_a_result_of(client: Any, server: Server) -> None:
    server.blobs = ["11111111-0000-4000-8000-000000000000"]
    assert (await client.get(f"/blobstream/{BLOB}")).status == 403
    server.blobs.append(BLOB)
    assert (await client.get(f"/blobstream/{BLOB}")).status == 200
    assert [seen[1] for seen in server.seen] == [f"/api/blobstream/{BLOB}"]


async def test_what_the_server_says_of_the_token_is_passed_on(client: Any, server: Server) -> None:
    server.answers(422, b'{"msg": "Signature verification failed"}')
    for path in ("/task/8", "/run/80", "/result?task_id=8", f"/blobstream/{BLOB}"):
        answer = await client.get(path)
        assert (answer.status, (await answer.json())["msg"]) == (422, "Signature verification failed")
