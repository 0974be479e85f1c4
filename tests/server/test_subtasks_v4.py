"""Session and proxy between a researcher and a central function, in every way: from the task to the result.

The algorithm is plain HTTP, with the calls of vantage6-algorithm-tools' AlgorithmClient.
"""

import asyncio
import base64
import json

import pytest

from launcher.runs import Outcome, RunStatus
from tests.server.site import Site, read

DONE = Outcome(RunStatus.COMPLETED)


@pytest.fixture
def sites(way, new_collaboration, tmp_path):
    kind = {"enabled": way.encrypted, "transport": way.transport}
    return [Site(new_collaboration, account, tmp_path, **kind) for account in new_collaboration.nodes]


@pytest.mark.contract("§2 GET /blobstream/status")
@pytest.mark.contract("§7 input is decrypted")
@pytest.mark.contract("§7 result is encrypted")
@pytest.mark.contract("§10 POST /task")
@pytest.mark.contract("§10 GET /result")
@pytest.mark.contract("§10 GET /result/{id}")
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

            assert [await each.is_subtask(child["id"]) for each in (ours, theirs)] == [True, True]
            assert [await each.is_subtask(run.task_id) for each in (ours, theirs)] == [False, False]
            assert (await read(await algorithm.get(f"/task/{child['id']}/status")))["status"] == "pending"
            for session, answer in ((ours, 1), (theirs, 2)):
                (part,) = await session.open_runs(child["id"])
                assert json.loads(await session.take(part)) == content
                await session.deliver(part, DONE, json.dumps({"answer": answer}).encode(), "")

            for kind, name in (("run", "input"), ("result", "result")):
                stored = centre.collaboration.federation.root.request(kind, params={"task_id": child["id"]})["data"]
                unreadable = [each[name].count("$") == 2 for each in stored]
                assert unreadable == [centre.enabled] * 2, f"the server's {name}"
            assert (await read(await algorithm.get(f"/task/{child['id']}/status")))["status"] == "completed"
            page = await read(await algorithm.get("/result", params={"task_id": child["id"], "page": 1}))
            answers = sorted(json.loads(base64.b64decode(each["result"]))["answer"] for each in page["data"])
            assert answers == [1, 2]
            one = await read(await algorithm.get(f"/result/{page['data'][0]['id']}"))
            assert one["result"] == page["data"][0]["result"]
        await ours.deliver(run, DONE, b'{"sum": 3}', "done")
        assert (await asyncio.to_thread(task.wait)).result() == {"sum": 3}
