"""An algorithm store that is linked to a real server: the server asks it for digests, the node for its word.

The store is a stand-in for vantage6's own; what server and node ask of it is what they ask of that one.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from launcher.approval import Approval, Approved, NotApproved
from launcher.config.kubernetes import ServerAccess
from launcher.config.registries import Registries
from launcher.policies import Policies
from launcher.registry import Registry
from launcher.runs import Run
from launcher.serverconnection import http_session
from launcher.session.v4 import V4Session
from tests.server.sessions import Way
from tests.stage.client import made
from tests.stage.federation import Collaboration, Federation
from tests.stage.server import Server

IMAGE = "registry.example.org/average:1"
DIGEST = "sha256:" + "a" * 64


class Store:
    """Knows one image; remembers who asked for which, and which servers were introduced to it."""

    url = ""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.servers: list[str] = []
        self.has = True

    async def introduced(self, request: web.Request) -> web.Response:
        self.servers.append((await request.json())["url"])
        return web.json_response({}, status=201)

    async def algorithms(self, request: web.Request) -> web.Response:
        self.asked.append((request.query["image"], dict(request.headers)))
        return web.json_response({"data": [{"image": IMAGE, "digest": DIGEST}] if self.has else []})


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store, app = Store(), web.Application()
    app.router.add_post("/api/vantage6-server", store.introduced)
    app.router.add_get("/api/algorithm", store.algorithms)
    async with TestServer(app) as stand_in:
        store.url = f"http://127.0.0.1:{stand_in.port}/api"
        yield store


@dataclass
class Site:
    """A node, and a task that was sent to it by way of the store."""

    session: V4Session
    http: aiohttp.ClientSession
    run: Run
    store_id: int

    async def decide(self, **policies: Any) -> Approved:
        decided = Policies.model_validate({"require_algorithm_pull": False, **policies})
        return await Approval(decided, self.session, Registry(self.http, Registries(), None)).of(self.run)


@pytest.fixture(scope="module")
def collaboration(federation: Federation) -> Iterator[Collaboration]:
    yield federation.collaboration("Study", [federation.organization("Hospital")])


@pytest.fixture
async def site(server: Server, collaboration: Collaboration, store: Store) -> AsyncIterator[Site]:
    root = collaboration.federation.root
    link = {"name": "store", "algorithm_store_url": store.url, "collaboration_id": collaboration.id, "force": True}
    linked = made(await asyncio.to_thread(root.request, "algorithmstore", method="post", json=link))
    researcher = await asyncio.to_thread(collaboration.researcher)
    task = await asyncio.to_thread(
        researcher.client.task.create,
        organizations=[collaboration.nodes[0].organization.id],
        name="average",
        image=IMAGE,
        description="",
        input_={"method": "average"},
        collaboration=collaboration.id,
        store=linked["id"],
    )
    store.asked.clear()
    async with http_session(ServerAccess()) as http:
        session = Way(server, "polling").session(http, collaboration.nodes[0].api_key)
        await session.open()
        (run,) = await session.open_runs(made(task)["id"])
        yield Site(session, http, run, linked["id"])


@pytest.mark.contract("§2 GET /algorithmstore/{id}")
async def test_the_server_tells_the_address_of_a_store(site: Site, store: Store):
    assert site.run.store_id == site.store_id
    assert await site.session.store_url(site.store_id) == store.url


@pytest.mark.contract("§2 GET /algorithm of a store")
@pytest.mark.contract("§8 allowed_algorithm_stores")
@pytest.mark.parametrize("entry", ["literal", "pattern"])
async def test_a_store_is_asked_with_the_nodes_token_for_the_server_that_it_knows(site: Site, store: Store, entry: str):
    listed = store.url if entry == "literal" else r"^http://127\.0\.0\.1:[0-9]+/api$"
    assert (await site.decide(allowed_algorithm_stores=[listed])).rule == "allowed_algorithm_stores"
    ((image, headers),) = store.asked
    assert image == site.run.image
    assert [headers["Server-Url"]] == store.servers, "as the server introduced itself, or the store would not know it"
    assert headers["Client-Type"] == "node"
    assert headers["Authorization"] == site.session._rest.headers["Authorization"]


@pytest.mark.contract("§8 allowed_algorithm_stores")
async def test_a_store_that_does_not_confirm_or_is_not_listed_lets_nothing_run(site: Site, store: Store):
    with pytest.raises(NotApproved, match="none of those"):
        await site.decide(allowed_algorithm_stores=["https://store.example.org"])
    assert store.asked == [], "it never got the node's token"
    store.has = False
    with pytest.raises(NotApproved, match="does not have it"):
        await site.decide(allowed_algorithm_stores=[store.url])


@pytest.mark.contract("§8 digest of a store")
async def test_the_digest_that_the_server_got_of_the_store_is_what_runs(site: Site, store: Store):
    assert site.run.image == f"{IMAGE}@{DIGEST}"
    approved = await site.decide(allowed_algorithms=[r"^registry\.example\.org/average:"])
    assert approved.ref == site.run.image
    assert await site.session.algorithm_token(site.run)


@pytest.mark.contract("§8 allow_either_whitelist_or_store")
@pytest.mark.parametrize(
    ("listed", "in_store", "either", "allowed"),
    [
        (True, True, False, True),
        (True, False, False, False),
        (False, True, False, False),
        (True, False, True, True),
        (False, True, True, True),
        (False, False, True, False),
    ],
)
async def test_list_and_store(site: Site, store: Store, *, listed: bool, in_store: bool, either: bool, allowed: bool):
    store.has = in_store
    policies = {
        "allowed_algorithms": ["registry.example.org/average" if listed else "registry.example.org/other"],
        "allowed_algorithm_stores": [store.url],
        "allow_either_whitelist_or_store": either,
    }
    if allowed:
        assert await site.decide(**policies)
    else:
        with pytest.raises(NotApproved, match="does not run the image"):
            await site.decide(**policies)
