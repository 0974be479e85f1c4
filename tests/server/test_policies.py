"""What the policies ask a real vantage6 server, and what it makes of what it is told of them."""

import asyncio
import contextlib

import aiohttp
import pytest

from launcher.approval import EVERYBODY, Approval, NotApproved
from launcher.config.node import NodeSection
from launcher.config.registries import Registries
from launcher.policies import BASICS
from launcher.registry import Registry
from launcher.session.v4 import V4Session
from tests.stage import StageError

IMAGE = "registry.example.org/average:1"


@pytest.fixture(scope="module")
def collaboration(federation):
    """So many that their list at the server has pages."""
    return federation.collaboration("Study", [federation.organization(f"Clinic {index}") for index in range(12)])


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


async def run_of(session, collaboration, sender=0, image=IMAGE):
    account = collaboration.nodes[sender]
    researcher = await asyncio.to_thread(collaboration.researcher, account.organization)
    to = [collaboration.nodes[0].organization]
    task = await asyncio.to_thread(researcher.send, image, "nothing", to=to)
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


@pytest.mark.contract("§18 1 integers in allowed_users")
@pytest.mark.parametrize("write", [int, str])
async def test_numbers_of_users_and_organizations_are_numbers_however_they_are_written(server, collaboration, write):
    """As the reference node compares them no integer is ever equal, and an organization in a list ends in an error."""
    async with opened(server, collaboration) as (session, _):
        run = await run_of(session, collaboration, 1)
    user, other = write(run.init_user_id), write(collaboration.nodes[2].organization.id)
    async with opened(server, collaboration, allowed_users=[user], allowed_organizations=[other]) as (_, approval):
        assert (await approval.of(run)).rule == "allowed_users"
    ours = write(collaboration.nodes[1].organization.id)
    async with opened(server, collaboration, allowed_organizations=[other, ours]) as (_, approval):
        assert (await approval.of(run)).rule == "allowed_organizations"
    async with opened(server, collaboration, allowed_organizations=[other]) as (_, approval):
        with pytest.raises(NotApproved, match="allowed_organizations"):
            await approval.of(run)


@pytest.mark.contract("§8 allow_basics_algorithm")
async def test_vantage6s_own_basics(server, collaboration):
    """Refused where the site does not want them; where it does, they pass through the lists like any image."""
    async with opened(server, collaboration, allow_basics_algorithm=False) as (session, approval):
        run = await run_of(session, collaboration, image=f"{BASICS}:latest")
        with pytest.raises(NotApproved, match="allow_basics_algorithm"):
            await approval.of(run)
    async with opened(server, collaboration) as (_, approval):
        assert (await approval.of(run)).ref == f"{BASICS}:latest"
    async with opened(server, collaboration, allowed_algorithms=[IMAGE]) as (_, approval):
        with pytest.raises(NotApproved, match="allowed_algorithms"):
            await approval.of(run)


@pytest.mark.contract("§8 no lists")
async def test_without_lists_anybody_may_run_anything_and_the_log_warns(server, collaboration, caplog):
    async with opened(server, collaboration) as (session, approval):
        assert (await approval.of(await run_of(session, collaboration, -1))).rule == "none"
    assert [record.levelname for record in caplog.records if record.message == EVERYBODY] == ["WARNING"]


@pytest.mark.contract("§8 not allowed")
async def test_a_refusal_ends_the_run_as_not_allowed(server, collaboration):
    async with opened(server, collaboration, allowed_algorithms=["registry.example.org/other"]) as (session, approval):
        run = await run_of(session, collaboration)
        with pytest.raises(NotApproved) as refusal:
            await approval.of(run)
        await session.deliver(run, refusal.value.outcome, b"", refusal.value.outcome.sentence)
        ended = await asyncio.to_thread(collaboration.federation.root.run.get, run.id)
        assert (ended["status"], bool(ended["finished_at"])) == ("not allowed", True)
        assert "policy allowed_algorithms" in ended["log"]
        assert await session.find(run.id) is None


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
