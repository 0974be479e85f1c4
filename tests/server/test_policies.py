"""What the policies ask a real vantage6 server, and a stand-in for an algorithm store, whose address the server has."""

import asyncio
import contextlib
import itertools

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from launcher.approval import Approval, NotApproved
from launcher.config import NodeSection
from launcher.registry import Registry
from launcher.registryconfig import Registries
from launcher.session.v4 import V4Session
from tests.stage import StageError

_numbers = itertools.count(1)
IMAGE = "registry.example.org/average:1"


@pytest.fixture
def collaboration(federation):
    number = next(_numbers)
    names = [f"Clinic {number}.{index}" for index in range(12)]
    return federation.collaboration(f"Study {number}", [federation.organization(name) for name in names])


class Heard:
    def open_runs(self, runs):
        pass

    def new_runs(self, runs):
        pass

    def killed(self, run_ids):
        pass


@contextlib.asynccontextmanager
async def opened(server, collaboration, **policies):
    node = NodeSection.model_validate(
        {"server_url": server.url, "port": server.port, "policies": {"require_algorithm_pull": False, **policies}}
    )
    async with aiohttp.ClientSession() as http:
        session = V4Session(http, node, collaboration.nodes[0].api_key)
        await session.open()
        yield session, Approval(node.policies, session, Registry(http, Registries(), None))


async def run_of(session, collaboration, sender=0, **more):
    account = collaboration.nodes[sender]
    researcher = await asyncio.to_thread(collaboration.researcher, account.organization)
    to = [collaboration.nodes[0].organization]
    task = await asyncio.to_thread(researcher.send, IMAGE, "nothing", to=to, **more)
    found = await session.find(task.run()["id"])
    assert found.init_organization_id == account.organization.id
    return found


@pytest.mark.contract("§8 allowed_users and allowed_organizations")
async def test_an_organization_by_its_name_and_by_its_number(server, collaboration):
    last = collaboration.nodes[-1].organization
    for entry in (last.name, last.id, str(last.id)):
        async with opened(server, collaboration, allowed_organizations=[entry]) as (session, approval):
            allowed = await approval.of(await run_of(session, collaboration, -1))
            assert (allowed.ref, allowed.rule) == (IMAGE, "allowed_organizations")
            with pytest.raises(NotApproved, match="allowed_organizations"):
                await approval.of(await run_of(session, collaboration, 1))


@pytest.mark.contract("§8 allowed_users and allowed_organizations")
async def test_a_user_by_number(server, collaboration):
    async with opened(server, collaboration) as (session, _):
        run = await run_of(session, collaboration)
    async with opened(server, collaboration, allowed_users=[run.init_user_id]) as (_, approval):
        assert (await approval.of(run)).rule == "allowed_users"
    async with opened(server, collaboration, allowed_users=[run.init_user_id + 1000]) as (_, approval):
        with pytest.raises(NotApproved, match="allowed_users"):
            await approval.of(run)


@pytest.mark.contract("§8 the server refuses early")
@pytest.mark.contract("§12 allowed_users")
async def test_what_is_shared_lets_the_server_refuse_early(server, collaboration):
    north, south = collaboration.nodes[0].organization, collaboration.nodes[1].organization
    async with opened(server, collaboration, allowed_users=["99999"], allowed_organizations=[north.name]) as (
        session,
        _,
    ):
        connected = asyncio.create_task(session.stay_connected(Heard()))
        try:
            async with asyncio.timeout(30):
                shared = {}
                while "allowed_orgs" not in shared:
                    await asyncio.sleep(0.1)
                    answer = await asyncio.to_thread(collaboration.federation.root.node.get, collaboration.nodes[0].id)
                    shared = {each["key"]: each["value"] for each in answer["config"]}
            assert shared["allowed_algorithms"] == "all"
            assert (shared["allowed_users"], shared["allowed_orgs"]) == ("99999", north.name)
            stranger = await asyncio.to_thread(collaboration.researcher, south)
            with pytest.raises(StageError):
                await asyncio.to_thread(stranger.send, IMAGE, "nothing", to=[north])
        finally:
            connected.cancel()
            await asyncio.wait({connected})


class Store:
    """A stand-in: it knows nothing but the image, and remembers who asked how."""

    def __init__(self):
        self.asked, self.has = [], True

    async def algorithms(self, request):
        self.asked.append((request.query["image"], dict(request.headers)))
        found = [{"image": IMAGE, "digest": ""}] if self.has else []
        return web.json_response({"data": found})


async def test_a_store_confirms_with_the_nodes_token(server, collaboration):
    store = Store()
    app = web.Application()
    app.router.add_get("/api/algorithm", store.algorithms)
    async with TestServer(app) as stand_in:
        url = f"http://127.0.0.1:{stand_in.port}/api"
        async with opened(server, collaboration, allowed_algorithm_stores=[url]) as (session, _):
            assert await session.store_confirms(url, IMAGE)
            ((image, headers),) = store.asked
            assert image == IMAGE
            assert headers["Server-Url"] == f"{server.url}:{server.port}/api"
            assert headers["Client-Type"] == "node"
            assert headers["Authorization"] == session._rest.headers["Authorization"]
            store.has = False
            assert not await session.store_confirms(url, IMAGE)
