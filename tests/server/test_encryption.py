"""An encrypted collaboration on a real server: whose key is whose, and what happens without the right one.

What is said of keys, inputs and results is tried with every release; how large a result may be is up to the node alone.
"""

import asyncio
import base64
import json

import pytest

from launcher.runs import Outcome, RunStatus
from launcher.session import InputUnreadable, ServerRefusal
from tests.server.site import Site
from tests.server.ways import only
from tests.stage.server_python import NEWEST
from tests.unit.keys import encrypted

DONE = Outcome(RunStatus.COMPLETED)


@pytest.fixture
def centre(way, new_collaboration):
    return Site(way, new_collaboration)


@only(collaboration="encrypted")
async def test_an_input_for_another_key_ends_the_run_with_what_to_do(centre, tmp_path):
    async with centre.session():
        researcher = await asyncio.to_thread(centre.researcher)
        await asyncio.to_thread(researcher.send, "localhost/none:1", "nothing", to=[centre.organization])
        async with centre.session(encrypted(tmp_path, "new")) as session:
            (run,) = await session.open_runs()
            with pytest.raises(InputUnreadable, match=r"can't be decrypted by this node: .*node\.encryption\.private"):
                await session.take(run)


@pytest.mark.contract("§2 PATCH /organization/{own}")
@pytest.mark.contract("§7 public key")
@only(collaboration="encrypted")
async def test_the_public_key_is_registered_and_replaced(centre, tmp_path, caplog):
    root = centre.collaboration.federation.root
    async with centre.session():
        assert centre.cryptor.matches(centre.public_key())
    assert not [record for record in caplog.records if record.levelname == "CRITICAL"]
    new = encrypted(tmp_path, "new")
    async with centre.session(new):
        assert new.matches(root.organization.get(centre.organization.id)["public_key"])
    assert [record for record in caplog.records if record.levelname == "CRITICAL"]


@only(release=NEWEST, collaboration="encrypted")
async def test_a_result_of_64_mib_and_an_empty_one_arrive_encrypted(centre):
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


@only(collaboration="encrypted")
async def test_who_has_no_usable_public_key_gets_no_result_but_the_reason(centre):
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
