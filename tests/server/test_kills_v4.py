"""Orders to end runs: those of a list, all of a node's, and those that are for others."""

import asyncio

import pytest
import requests

from launcher.runs import Outcome, RunStatus
from tests.server.sessions import Way, send, told, until
from tests.stage.federation import Collaboration


@pytest.mark.contract("§4 kill_containers")
@pytest.mark.contract("§13 kill_list")
async def test_a_kill_is_heard_for_this_nodes_runs_only(way: Way, collaboration: Collaboration):
    async with way.online(collaboration) as (session, heard):
        task = await send(collaboration, to=[0, 1])
        await until(lambda: heard.new)
        await asyncio.to_thread(collaboration.federation.root.task.kill, task.id)
        await until(lambda: heard.kills)
        assert heard.kills == [[heard.new[0].id]]
        # The server has closed it already.
        assert await session.find(heard.new[0].id) is None


@pytest.mark.contract("§13 other nodes")
async def test_a_kill_that_is_for_others_ends_nothing_here(way: Way, collaboration: Collaboration):
    async with way.online(collaboration) as (session, heard):
        task = await send(collaboration, to=[1])
        await asyncio.to_thread(collaboration.federation.root.task.kill, task.id)
        await until(lambda: heard.kills)
        assert heard.kills == [[]], "the server told of it, and nothing in it is of this organization"
        ours = {"run_id": 1, "task_id": 1, "organization_id": session.identity.organization_id}
        await told(session, "kill_containers", {"collaboration_id": collaboration.id + 1, "kill_list": [ours]})
        await told(session, "kill_containers", {"collaboration_id": collaboration.id + 1})
        for node in (collaboration.nodes[1].id, str(session.identity.node_id)):
            await told(session, "kill_containers", {"collaboration_id": collaboration.id, "node_id": node})
        assert heard.kills == [[]]


@pytest.mark.contract("§13 all runs of a node")
async def test_a_kill_of_everything_on_a_node(way: Way, collaboration: Collaboration):
    root, node = collaboration.federation.root, collaboration.nodes[0]
    async with way.online(collaboration) as (session, heard):
        task = await send(collaboration)
        await until(lambda: heard.new)
        kill = {"url": f"{way.server.api}/kill/node/tasks", "json": {"id": node.id}, "headers": root.headers}
        answer = await asyncio.to_thread(lambda: requests.post(**kill, timeout=10))
        assert answer.status_code == 500, "no release that was tried gets as far as its event, which is therefore ours"
        await told(session, "kill_containers", {"node_id": node.id, "collaboration_id": collaboration.id})
        assert heard.kills == [None]
        # Here the server closed nothing: the run ends by what the node says.
        await session.deliver(heard.new[0], Outcome(RunStatus.KILLED), b"", "")
        ended = await asyncio.to_thread(task.run)
        assert (ended["status"], bool(ended["finished_at"])) == ("killed by user", True)
        assert await session.open_runs() == []
