"""Session and proxy between a researcher and a central function, in every way: from the task to the result.

The algorithm is plain HTTP, with the calls of vantage6-algorithm-tools' AlgorithmClient.
"""

import asyncio
import base64
import json

import pytest

from launcher.runs import Outcome, RunStatus
from tests.server.site import Site

DONE = Outcome(RunStatus.COMPLETED)


@pytest.fixture
def sites(way, new_collaboration):
    return [Site(way, new_collaboration, number) for number in (0, 1)]


async def read(answer, status=200):
    body = await answer.json()
    assert answer.status == status, body
    return body


@pytest.mark.contract("§2 GET /blobstream/status")
@pytest.mark.contract("§7 input is decrypted")
@pytest.mark.contract("§7 result is encrypted")
async def test_a_central_function_and_its_parts_from_task_to_result(sites):
    centre, other = sites
    async with centre.session() as ours, other.session() as theirs:
        researcher = await asyncio.to_thread(centre.researcher)
        task = await asyncio.to_thread(
            researcher.send, "localhost/none:1", "central", "secret", to=[centre.organization]
        )
        (run,) = await ours.open_runs()
        assert json.loads(await ours.take(run)) == {"method": "central", "args": ["secret"], "kwargs": {}}
        async with centre.proxy(ours, await ours.algorithm_token(run)) as algorithm:
            content = {"method": "part", "args": [], "kwargs": {}}
            text = base64.b64encode(json.dumps(content).encode()).decode()
            organizations = [{"id": site.organization.id, "input": text} for site in sites]
            new = {"name": "part", "image": run.image, "collaboration_id": run.collaboration_id}
            child = await read(await algorithm.post("/task", json={**new, "organizations": organizations}), 201)

            assert (await read(await algorithm.get(f"/task/{child['id']}/status")))["status"] == "pending"
            for session, answer in ((ours, 1), (theirs, 2)):
                (part,) = await session.open_runs(child["id"])
                assert json.loads(await session.take(part)) == content
                await session.deliver(part, DONE, json.dumps({"answer": answer}).encode(), "")

            for kind, name in (("run", "input"), ("result", "result")):
                stored = centre.collaboration.federation.root.request(kind, params={"task_id": child["id"]})["data"]
                unreadable = [each[name].count("$") == 2 for each in stored]
                assert unreadable == [centre.way.encrypted] * 2, f"the server's {name}"
            assert (await read(await algorithm.get(f"/task/{child['id']}/status")))["status"] == "completed"
            page = await read(await algorithm.get("/result", params={"task_id": child["id"], "page": 1}))
            answers = sorted(json.loads(base64.b64decode(each["result"]))["answer"] for each in page["data"])
            assert answers == [1, 2]
            one = await read(await algorithm.get(f"/result/{page['data'][0]['id']}"))
            assert one["result"] == page["data"][0]["result"]
        await ours.deliver(run, DONE, b'{"sum": 3}', "done")
        assert (await asyncio.to_thread(task.wait)).result() == {"sum": 3}


async def test_no_other_task_is_told_of_nor_with_a_forged_token(sites):
    centre, _ = sites
    async with centre.session() as session:
        researcher = await asyncio.to_thread(centre.researcher)
        for _ in range(2):
            await asyncio.to_thread(researcher.send, "localhost/none:1", "nothing", to=[centre.organization])
        mine, stranger = await session.open_runs()
        await session.deliver(stranger, DONE, b'"private"', "")
        token = await session.algorithm_token(mine)
        async with centre.proxy(session, token) as algorithm:
            for path in (
                f"/result?task_id={stranger.task_id}",
                f"/result/{stranger.id}",
                f"/run/{stranger.id}",
                f"/run?task_id={stranger.task_id}",
                f"/task/{stranger.task_id}",
                f"/task/{stranger.task_id}/status",
            ):
                assert "msg" in await read(await algorithm.get(path), 403)
        head, claims, _ = token.split(".")
        text = json.loads(base64.urlsafe_b64decode(claims + "=="))
        text["sub"]["task_id"] = stranger.task_id
        forged = base64.urlsafe_b64encode(json.dumps(text).encode()).decode().rstrip("=")
        async with centre.proxy(session, f"{head}.{forged}.{token.split('.')[2]}") as algorithm:
            for path in (f"/result?task_id={stranger.task_id}", f"/task/{stranger.task_id}/status"):
                answer = await algorithm.get(path)
                assert answer.status == 422
                assert "result" not in await answer.text()
