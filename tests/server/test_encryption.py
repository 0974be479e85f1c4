"""An encrypted collaboration on a real server: researchers with vantage6's own client, our session, our proxy.

The algorithm is plain HTTP, with the calls of vantage6-algorithm-tools' AlgorithmClient.
"""

import asyncio
import base64
import json
import os
import re

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from launcher.runs import Outcome, RunStatus
from launcher.session import InputUnreadable, ServerRefusal
from tests.server.site import Site, read
from tests.server.ways import only
from tests.stage.client import made
from tests.unit.keys import encrypted

pytestmark = only(collaboration="encrypted")
DONE = Outcome(RunStatus.COMPLETED)


@pytest.fixture
def sites(way, new_collaboration, tmp_path):
    return [Site(new_collaboration, account, tmp_path, transport=way.transport) for account in new_collaboration.nodes]


@pytest.mark.contract("§18 11 one key per process")
async def test_nodes_in_one_process_have_a_key_each(sites):
    """As vantage6-common's class is used by the reference node, the second would have the first one's."""
    first, second = sites
    async with first.session() as ours, second.session() as theirs:
        assert first.cryptor.matches(first.public_key()) and second.cryptor.matches(second.public_key())
        assert first.public_key() != second.public_key()
        researcher = await asyncio.to_thread(first.researcher)
        task = await asyncio.to_thread(researcher.send, "localhost/none:1", "nothing")
        for session, answer in ((ours, 1), (theirs, 2)):
            (run,) = await session.open_runs(task.id)
            assert json.loads(await session.take(run))["method"] == "nothing"
            await session.deliver(run, DONE, json.dumps(answer).encode(), "")
        assert sorted((await asyncio.to_thread(task.wait)).results()) == [1, 2]


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
            ):
                assert "msg" in await read(await algorithm.get(path), 403)
        head, claims, _ = token.split(".")
        text = json.loads(base64.urlsafe_b64decode(claims + "=="))
        text["sub"]["task_id"] = stranger.task_id
        forged = base64.urlsafe_b64encode(json.dumps(text).encode()).decode().rstrip("=")
        async with centre.proxy(session, f"{head}.{forged}.{token.split('.')[2]}") as algorithm:
            answer = await algorithm.get(f"/result?task_id={stranger.task_id}")
            assert answer.status == 422
            assert "result" not in await answer.text()


async def test_an_input_for_another_key_ends_the_run_with_what_to_do(sites, tmp_path):
    """A wrong key gives random bytes, at times as many as an AES key has: so more than one is tried."""
    centre, _ = sites
    async with centre.session():
        researcher = await asyncio.to_thread(centre.researcher)
        for _ in range(3):
            await asyncio.to_thread(researcher.send, "localhost/none:1", "nothing", to=[centre.organization])
        async with centre.session(encrypted(tmp_path, "new")) as session:
            taken = await asyncio.gather(*map(session.take, await session.open_runs()), return_exceptions=True)
    assert len(taken) == 3
    refusals = [str(refusal) for refusal in taken if isinstance(refusal, InputUnreadable)]
    assert len(refusals) >= 2
    for refusal in refusals:
        assert re.search(r"can't be decrypted by this node: .*node\.encryption\.private", refusal)


@pytest.mark.contract("§7 input of the web interface")
async def test_an_input_of_the_web_interface_is_read(sites):
    """It encrypts base64 text: of the AES key, and of the content."""
    centre, _ = sites
    content, secret, iv = json.dumps({"method": "central"}).encode(), os.urandom(32), os.urandom(16)
    async with centre.session() as session:
        key = serialization.load_pem_public_key(base64.b64decode(centre.public_key()))
        cipher = Cipher(algorithms.AES(secret), modes.CTR(iv)).encryptor()
        parts = (
            key.encrypt(base64.b64encode(secret), padding.PKCS1v15()),
            iv,
            cipher.update(base64.b64encode(content)),
        )
        text = "$".join(base64.b64encode(part).decode() for part in parts)
        task = {"name": "t", "image": "localhost/none:1", "collaboration_id": centre.collaboration.id, "databases": []}
        task["organizations"] = [{"id": centre.organization.id, "input": text}]
        researcher = await asyncio.to_thread(centre.researcher)
        made(await asyncio.to_thread(researcher.client.request, "task", method="post", json=task))
        (run,) = await session.open_runs()
        assert await session.take(run) == content


@pytest.mark.contract("§2 PATCH /organization/{own}")
@pytest.mark.contract("§7 public key")
async def test_the_public_key_is_registered_and_replaced(sites, tmp_path, caplog):
    centre, _ = sites
    root = centre.collaboration.federation.root
    async with centre.session():
        assert centre.cryptor.matches(centre.public_key())
    assert not [record for record in caplog.records if record.levelname == "CRITICAL"]
    new = encrypted(tmp_path, "new")
    async with centre.session(new):
        assert new.matches(root.organization.get(centre.organization.id)["public_key"])
    assert [record for record in caplog.records if record.levelname == "CRITICAL"]


async def test_a_result_of_64_mib_and_an_empty_one_arrive_encrypted(sites):
    centre, _ = sites
    async with centre.session() as session:
        researcher = await asyncio.to_thread(centre.researcher)
        task = await asyncio.to_thread(researcher.send, "localhost/none:1", "nothing", to=[centre.organization])
        (run,) = await session.open_runs()
        large = json.dumps("x" * 2**26).encode()
        await session.deliver(run, DONE, large, "")
        assert len((await asyncio.to_thread(task.wait)).result()) == 2**26

        await asyncio.to_thread(researcher.send, "localhost/none:1", "nothing", to=[centre.organization])
        (run,) = await session.open_runs()
        await session.deliver(run, Outcome(RunStatus.CRASHED), b"", "it crashed")
        stored = centre.collaboration.federation.root.request(f"result/{run.id}")["result"]
        assert (stored.count("$"), stored.rpartition("$")[2]) == (2, "")


async def test_who_has_no_usable_public_key_gets_no_result_but_the_reason(sites):
    centre, _ = sites
    async with centre.session() as session:
        researcher = await asyncio.to_thread(centre.researcher)
        await asyncio.to_thread(researcher.send, "localhost/none:1", "nothing", to=[centre.organization])
        (run,) = await session.open_runs()
        path = f"/organization/{centre.organization.id}"
        await session._rest.call("PATCH", path, body={"public_key": base64.b64encode(b"none").decode()})
        with pytest.raises(ServerRefusal, match="has no public key there"):
            await session.deliver(run, DONE, b"{}", "")
        await session.deliver(run, Outcome(RunStatus.FAILED), b"", "why")
        assert await session.find(run.id) is None
