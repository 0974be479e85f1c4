"""Inputs and results in the server's blob store, encrypted or not.

The server is real, and so are its routes; the store behind them is a folder instead of Azure's, and what the routes
read by uwsgi they read by gevent here (tests/stage/boot_server.py).
"""

import asyncio
import itertools
import json
from pathlib import Path

import pytest

from launcher.encryption import Encrypted
from launcher.runs import Outcome, RunStatus
from launcher.session import InputUnreadable
from tests.server.site import Site
from tests.stage.server import Server
from tests.unit.keys import encrypted

_numbers = itertools.count(1)
DONE = Outcome(RunStatus.COMPLETED)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), blobs=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=[True, False], ids=["encrypted", "plain"])
def site(request, federation, tmp_path):
    number = next(_numbers)
    organization = federation.organization(f"Hospital {number}")
    study = federation.collaboration(f"Study {number}", [organization], encrypted=request.param)
    return Site(study, study.nodes[0], tmp_path, enabled=request.param)


def blobs(site) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (Path(site.server.folder) / "blobs").iterdir()}


async def send(site, *arguments):
    researcher = await asyncio.to_thread(site.researcher)
    return await asyncio.to_thread(researcher.send, "localhost/none:1", "central", *arguments)


async def test_input_and_result_are_ids_of_blobs(site):
    async with site.session() as session:
        task = await send(site, "secret")
        (run,) = await session.open_runs()
        assert run.blob_storage_used
        assert json.loads(await session.take(run)) == {"method": "central", "args": ["secret"], "kwargs": {}}
        result = {"answer": "x" * 2**21}
        await session.deliver(run, DONE, json.dumps(result).encode(), "")
        assert (await asyncio.to_thread(task.wait)).result() == result
        stored = site.collaboration.federation.root.request(f"result/{run.id}")["result"]
        assert (b"xxxx" in blobs(site)[stored], blobs(site)[stored].count(b"$") >= 2) == (False, site.enabled)


async def test_an_empty_result_needs_no_blob(site):
    async with site.session() as session:
        await send(site)
        (run,) = await session.open_runs()
        before = blobs(site)
        await session.deliver(run, Outcome(RunStatus.CRASHED), b"", "it crashed")
        assert (await session.find(run.id), blobs(site)) == (None, before)


@pytest.mark.contract("§10 blobstream")
async def test_an_algorithm_uploads_inputs_and_reads_results_of_its_own_subtask(site):
    async with site.session() as session:
        await send(site)
        (run,) = await session.open_runs()
        async with site.proxy(session, await session.algorithm_token(run)) as algorithm:
            key = (await (await algorithm.get(f"/organization/{site.organization.id}")).json())["public_key"]
            content = json.dumps({"method": "part", "args": ["y" * 2**20], "kwargs": {}}).encode()
            headers = {"X-Public-Key": key} if site.enabled else {}
            uploaded = await algorithm.post("/blobstream", data=content, headers=headers)
            assert uploaded.status == 201, await uploaded.text()
            text = (await uploaded.json())["uuid"]
            new = {"name": "part", "image": run.image, "collaboration_id": run.collaboration_id}
            organizations = [{"id": site.organization.id, "input": text}]
            child = await (await algorithm.post("/task", json={**new, "organizations": organizations})).json()
            (part,) = await session.open_runs(child["id"])
            assert await session.take(part) == content
            await session.deliver(part, DONE, b'{"part": 1}', "")
            page = await (await algorithm.get("/result", params={"task_id": child["id"], "page": 1})).json()
            (blob,) = (each["result"] for each in page["data"])
            answer = await algorithm.get(f"/blobstream/{blob}")
            assert (answer.status, await answer.read()) == (200, b'{"part": 1}')

            for other in (text, (await session._rest.call("GET", f"/run/{run.id}"))["input"]):
                assert (await algorithm.get(f"/blobstream/{other}")).status == 403, "an input, of nobody's use here"


@pytest.mark.contract("§10 POST /blobstream without X-Public-Key")
async def test_an_upload_without_a_key_is_refused_where_it_would_be_readable(site):
    async with site.session() as session:
        await send(site)
        (run,) = await session.open_runs()
        before = blobs(site)
        async with site.proxy(session, await session.algorithm_token(run)) as algorithm:
            answer = await algorithm.post("/blobstream", data=b"secret")
            assert answer.status == (400 if site.enabled else 201)
            assert ("X-Public-Key is missing" in await answer.text()) == site.enabled
        assert (blobs(site) == before) == site.enabled


async def test_an_input_that_can_t_be_read_ends_the_run_with_what_to_do(site, tmp_path, monkeypatch):
    async with site.session() as session:
        await send(site, "z" * 1000)
        (run,) = await session.open_runs()
        monkeypatch.setattr("launcher.session.v4_contents._MAX_INPUT_BYTES", 100)
        with pytest.raises(InputUnreadable, match="can't be read: it is larger"):
            await session.take(run)
        monkeypatch.undo()
        if isinstance(site.cryptor, Encrypted):
            failures = []
            # A wrong key gives a readable AES key once in some hundred times; then the input is nonsense.
            for name in ("new", "newer", "newest"):
                async with site.session(encrypted(tmp_path, name)) as other:
                    try:
                        await other.take(run)
                    except InputUnreadable as error:
                        failures.append(str(error))
            assert len(failures) >= 2
            assert all("can't be decrypted by this node" in failure for failure in failures)
