"""The proxy in an encrypted collaboration, before a stand-in for the server."""

import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

import proxy.forward
from launcher.encryption import Encrypted
from proxy.results import DecryptedResults
from tests.unit.keys import encrypted
from tests.unit.proxied_server import BLOB, TASK, Server, proxied


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def ours(folder: Path) -> Encrypted:
    return encrypted(folder, "ours")


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Encrypted:
    return encrypted(folder, "theirs")


class EncryptedServer(Server):
    """Knows two organizations' keys; says whether it has a blob store."""

    def __init__(self, keys: dict[int, str]) -> None:
        super().__init__()
        self.keys = keys
        self.blob_store = False
        self.says_of_blobs = 200
        self.asked_keys = 0
        self.then = self.answer
        self.answer = self._know

    async def _know(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/api/blobstream/status":
            return web.json_response({"blob_store_enabled": self.blob_store}, status=self.says_of_blobs)
        if request.path.startswith("/api/organization/"):
            self.asked_keys += 1
            return web.json_response({"public_key": self.keys.get(int(request.path.rpartition("/")[2]))})
        return await self.then(request)

    def gives(self, body: bytes, content_type: str = "application/json") -> None:
        async def give(_: web.Request) -> web.StreamResponse:
            return web.Response(body=body, content_type=content_type)

        self.then = give


@pytest.fixture
def server(ours: Encrypted, theirs: Encrypted) -> EncryptedServer:
    return EncryptedServer({1: ours.public_key, 2: theirs.public_key})


@pytest.fixture
async def client(server: EncryptedServer, ours: Encrypted) -> AsyncIterator[TestClient[Any, Any]]:
    async with proxied(server, ours) as client:
        yield client


def sealed(receiver: Encrypted, content: bytes) -> str:
    sealing = receiver.for_text(receiver.public_key)
    return (sealing.update(content) + sealing.finish()).decode()


def stored(receiver: Encrypted, content: bytes) -> bytes:
    sealing = receiver.for_blob(receiver.public_key)
    return sealing.update(content) + sealing.finish()


def new_task(**inputs: Any) -> dict[str, Any]:
    return {**TASK, "organizations": [{"id": int(name[1:]), "input": text} for name, text in inputs.items()]}


async def test_each_organization_gets_its_input_under_its_own_key(
    client: Any, server: EncryptedServer, ours: Encrypted, theirs: Encrypted
) -> None:
    text = base64.b64encode(b'{"method": "part"}').decode()
    for _ in range(2):
        assert (await client.post("/task", json=new_task(o1=text, o2=text))).status == 200
        task = json.loads(server.seen[-1][3])
        mine, other = (entry["input"] for entry in task["organizations"])
        opened = [through(mine.encode(), [], ours.from_text()), through(other.encode(), [], theirs.from_text())]
        assert tuple(opened) == (b'{"method": "part"}',) * 2
        assert {key: task[key] for key in ("image", "collaboration_id")} == {"image": "img", "collaboration_id": 3}
    assert server.asked_keys == 2, "a key is remembered for a while"


async def test_a_release_that_knows_of_no_blob_store_has_none(
    client: Any, server: EncryptedServer, ours: Encrypted
) -> None:
    server.says_of_blobs = 404
    assert (await client.post("/task", json=new_task(o1="e30="))).status == 200
    (sent,) = json.loads(server.seen[-1][3])["organizations"]
    assert through(sent["input"].encode(), [], ours.from_text()) == b"{}"


async def test_nothing_is_sent_while_it_is_unknown_whether_there_is_a_blob_store(
    client: Any, server: EncryptedServer
) -> None:
    server.says_of_blobs = 500
    assert (await client.post("/task", json=new_task(o1="e30="))).status == 500
    assert not [seen for seen in server.seen if seen[0] == "POST"]


@pytest.mark.contract("§2 GET /blobstream/status")
async def test_with_a_blob_store_inputs_are_ids_and_stay(client: Any, server: EncryptedServer) -> None:
    server.blob_store = True
    task = new_task(o1=BLOB)
    assert (await client.post("/task", json=task)).status == 200
    assert json.loads(server.seen[-1][3]) == task


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (new_task(o1="%%%"), "is not base64"),
        (new_task(o1=7), "is not base64"),
        (new_task(o1={"method": "m"}), "is not base64"),
        (new_task(o1="\u00e9"), "is not base64"),
        (new_task(o9="e30="), "public key at the server can't be used"),
    ],
)
async def test_an_input_that_can_t_be_encrypted_is_refused(
    client: Any, server: EncryptedServer, task: Any, says: str
) -> None:
    answer = await client.post("/task", json=task)
    assert (answer.status, says in (await answer.json())["msg"]) == (400, True)
    assert not [seen for seen in server.seen if seen[0] == "POST"], "nothing of it arrives"


@pytest.mark.contract("§10 GET /result")
@pytest.mark.contract("§10 GET /result/{id}")
@pytest.mark.parametrize("size", [0, 1, 1000, 3 * 2**20])
async def test_results_are_read_pages_and_one(client: Any, server: EncryptedServer, ours: Encrypted, size: int) -> None:
    content = json.dumps("x" * size).encode()
    page = {
        "data": [
            {"id": 1, "result": sealed(ours, content), "blob_storage_used": False, "note": 'say "result": "x$y$z"'},
            {"result": None, "id": 2},
            {"result": "", "id": 3},
            {"result": BLOB, "id": 4, "blob_storage_used": True},
            {"id": 5, "result": sealed(ours, b"")},
        ],
        "links": {"next": "/api/result?page=2"},
    }
    server.gives(json.dumps(page, indent=1).encode())
    got = await (await client.get("/result?task_id=7")).json()
    expected = [base64.b64encode(content).decode(), None, "", BLOB, ""]
    assert [entry.pop("result") for entry in got["data"]] == expected
    for entry in page["data"]:
        entry.pop("result")
    assert got == page


def through(data: bytes, sizes: list[int], translation: Any) -> bytes:
    at, said = 0, []
    for size in sizes:
        said.append(translation.update(data[at : at + size]))
        at += size
    return b"".join([*said, translation.update(data[at:]), translation.finish()])


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.just("results"), inner),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(
    around=JSONS, content=st.binary(max_size=80), sizes=st.lists(st.integers(0, 40), max_size=60), indent=st.booleans()
)
def test_of_any_json_cut_anywhere_only_results_change(
    ours: Encrypted, around: Any, content: bytes, sizes: list[int], indent: bool
) -> None:
    tree = {"a": around, "data": [{"result": sealed(ours, content), "b": around}], '"result"': "x", "c": "result"}
    text = json.dumps(tree, indent=1 if indent else None).encode()
    got = json.loads(through(text, sizes, DecryptedResults(ours.from_text)))
    tree["data"][0]["result"] = base64.b64encode(content).decode()
    assert got == tree


async def test_a_result_for_somebody_else_is_said_to_be_and_never_left_out(
    client: Any, server: EncryptedServer, ours: Encrypted, theirs: Encrypted
) -> None:
    statuses = []
    for _ in range(3):  # a wrong key gives a readable one now and then
        data = [{"result": sealed(ours, b"1")}, {"result": sealed(theirs, b"secret")}]
        server.gives(json.dumps({"data": data}).encode())
        answer = await client.get("/result?task_id=7")
        statuses.append(answer.status)
        if answer.status != 200:
            assert "can't be decrypted by this node: it was encrypted for another key" in (await answer.json())["msg"]
    assert statuses.count(409) >= 2


async def test_a_result_for_somebody_else_after_much_breaks_the_answer_off(
    client: Any, server: EncryptedServer, ours: Encrypted
) -> None:
    data = [{"result": sealed(ours, b"x" * 2**21)}, {"result": "a$b$c"}]
    server.gives(json.dumps({"data": data}).encode())
    with pytest.raises(aiohttp.ClientError):
        await (await client.get("/result?task_id=7")).read()


@pytest.mark.parametrize("size", [0, 1, 100_000, 3 * 2**20])
@pytest.mark.parametrize("announced", [True, False], ids=["content-length", "chunked"])
async def test_a_blob_is_encrypted_for_its_reader_and_decrypted_for_the_algorithm(  # noqa: PLR0917
    client: Any, server: EncryptedServer, ours: Encrypted, theirs: Encrypted, size: int, announced: bool
) -> None:
    blob = os.urandom(size)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 7777):
            yield blob[start : start + 7777]

    headers = {"X-Public-Key": theirs.public_key}
    assert (await client.post("/blobstream", data=blob if announced else chunks(), headers=headers)).status == 200
    if size:
        kept = server.seen[-1][3]
        opening = theirs.from_blob()
        assert opening.update(kept) + opening.finish() == blob
    server.blobs = [BLOB]
    server.gives(stored(ours, blob), "application/octet-stream")
    answer = await client.get(f"/blobstream/{BLOB}")
    assert (answer.status, await answer.read()) == (200, blob)


@pytest.mark.contract("§10 blobstream")
@pytest.mark.parametrize("key", [None, "", "none", "Zm9v"])
async def test_an_upload_without_a_key_is_refused(client: Any, server: EncryptedServer, key: str | None) -> None:
    answer = await client.post("/blobstream", data=b"x", headers={} if key is None else {"X-Public-Key": key})
    assert (answer.status, "X-Public-Key" in (await answer.json())["msg"]) == (400, True)
    assert server.seen == []


async def test_nothing_of_a_refusal_is_decrypted(client: Any, server: EncryptedServer, ours: Encrypted) -> None:
    text = json.dumps({"msg": "no", "result": sealed(ours, b"secret")}).encode()

    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=401, body=text, content_type="application/json")

    server.then = refuse
    answer = await client.get("/result?task_id=7")
    assert (answer.status, await answer.read()) == (401, text)


async def test_a_large_page_does_not_grow_the_proxy(
    client: Any, server: EncryptedServer, ours: Encrypted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the proxy holds at once is counted where pieces pass; this process also has server and client in it."""
    content = os.urandom(2**24)
    text = json.dumps({"data": [{"result": sealed(ours, content)} for _ in range(4)]}).encode()
    server.gives(text)
    held: list[int] = []
    update = DecryptedResults.update

    def counted(self: DecryptedResults, piece: bytes) -> bytes:
        said = update(self, piece)
        held.append(len(said) + len(self._rest))
        return said

    monkeypatch.setattr(DecryptedResults, "update", counted)
    answer = await client.get("/result?task_id=7")
    size = 0
    async for chunk in answer.content.iter_any():
        size += len(chunk)
    assert size > 4 * 2**24
    assert max(held) < 2**21 + proxy.forward.HELD_BYTES
