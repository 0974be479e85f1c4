"""Logging in, being online, and hearing of runs: each line of the contract with a real server, of several releases."""

import asyncio
from typing import Any

import pytest
import requests

from launcher.apikey import ApiKey
from launcher.config.kubernetes import ServerAccess
from launcher.connection import Connection
from launcher.runs import Outcome, RunStatus
from launcher.serverconnection import http_session
from launcher.session import LoginRefused, ServerRefusal, ServerUnavailable
from launcher.session.v4 import V4Session
from tests.server.sessions import Heard, Way, forged, kept_online, send, until
from tests.server.ways import each_release
from tests.stage.federation import Collaboration
from tests.stage.server_python import OLDEST
from tests.stage.waiting import wait_until

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def impatient(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest release says nothing at all to a token of another secret: that takes as long as one waits."""
    if way.server.version() == OLDEST:
        monkeypatch.setattr("launcher.session.v4_socket._GREETED_WITHIN", 3.0)


@each_release
@pytest.mark.contract("§2 POST /token/node")
@pytest.mark.contract("§2 GET /node/{id}")
async def test_who_the_node_is_comes_from_the_server(way: Way, collaboration: Collaboration):
    async with way.opened(collaboration) as session:
        node = collaboration.nodes[0]
        assert session.identity.node_id == node.id
        assert session.identity.name == node.name
        assert session.identity.organization_id == node.organization.id
        assert session.identity.collaboration_id == collaboration.id


@each_release
@pytest.mark.contract("§3 unknown key is fatal")
async def test_a_wrong_key_is_said_in_one_sentence(way: Way):
    async with http_session(ServerAccess()) as http:
        with pytest.raises(LoginRefused, match=r"refuses api_key .*; give the key that it showed"):
            await way.session(http, NOBODY).open()


@each_release
@pytest.mark.contract("§2 GET /collaboration/{id}")
async def test_a_collaboration_is_not_served_where_the_node_is_set_to_the_other_kind(
    way: Way, collaboration: Collaboration
):
    organization = collaboration.nodes[0].organization
    other = collaboration.federation.collaboration(
        f"Other {collaboration.name}", [organization], encrypted=not way.encrypted
    )
    said = "is true, but .* is not encrypted" if way.encrypted else "is false, but .* is encrypted"
    with pytest.raises(LoginRefused, match=rf"node\.encryption\.enabled {said}"):
        async with way.opened(other):
            pass


@each_release
@pytest.mark.contract("§3 no connection: retry")
async def test_a_server_that_is_away_is_waited_for_and_that_is_visible(way: Way, collaboration: Collaboration):
    connection = Connection()
    async with http_session(ServerAccess()) as http:
        session = V4Session(http, way.node_section(port=9), collaboration.nodes[0].api_key, connection=connection)
        opening = asyncio.create_task(session.open())
        await until(lambda: "does not serve this node" in connection.reason)
        assert "node.server_url, node.port, node.api_path" in connection.table()["reason"]
        assert not connection.table()["online"]
        assert not opening.done()
        opening.cancel()


@each_release
@pytest.mark.contract("§2 api_path")
async def test_an_api_path_where_no_api_is_is_named(way: Way, collaboration: Collaboration):
    async with http_session(ServerAccess()) as http:
        session = way.session(http, collaboration.nodes[0].api_key, api_path="/v/api")
        with pytest.raises(ServerUnavailable, match="no vantage6 API is there"):
            await session._rest._login()


@each_release
@pytest.mark.contract("§2 POST refresh_url")
@pytest.mark.contract("§3 expired access token is 401")
async def test_an_expired_access_token_is_renewed_by_the_refresh_token(way: Way, collaboration: Collaboration):
    async with way.opened(collaboration) as session:
        session._rest._access = forged(way, session._rest._access)
        session._rest._api_key = ApiKey(NOBODY)  # so only the refresh token can help
        assert await session.open_runs() == []


@each_release
@pytest.mark.contract("§3 bad signature is 422")
@pytest.mark.contract("§3 expired refresh token: log in again")
@pytest.mark.contract("§18 10 expired refresh needs no restart")
async def test_without_any_valid_token_the_node_logs_in_again(way: Way, collaboration: Collaboration):
    async with way.opened(collaboration) as session:
        session._rest._access = forged(way, session._rest._access, seconds=3600, secret="of nobody")
        session._rest._refresh = forged(way, session._rest._access)
        assert await session.open_runs() == []


@each_release
@pytest.mark.contract("§3 renewal before expiry")
async def test_the_token_is_renewed_in_time_whatever_this_machines_clock_says(
    way: Way, collaboration: Collaboration, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("launcher.session.rest._RENEW_BEFORE_EXPIRY", 6 * 3600.0 - 1.0)
    monkeypatch.setattr("time.time", lambda: 4e9)
    async with way.opened(collaboration) as session:
        before = session._rest._access
        session._rest._good_until -= 3 * 3600 - 1
        session._rest._good_until -= 3 * 3600 - 1
        fresh = asyncio.create_task(session._rest.keep_fresh())
        await until(lambda: session._rest._access != before)
        fresh.cancel()


@each_release
@pytest.mark.contract("§2 POST /token/container")
@pytest.mark.contract("§3 container token refused")
async def test_a_token_for_another_image_is_refused_once(way: Way, collaboration: Collaboration):
    async with way.online(collaboration) as (session, heard):
        await send(collaboration)
        await until(lambda: heard.new)
        assert await session.algorithm_token(heard.new[0])
        with pytest.raises(ServerRefusal):
            await session._rest.call("POST", "/token/container", body={"task_id": heard.new[0].task_id, "image": "b"})


@pytest.mark.contract("§4 transports")
@pytest.mark.contract("§4 connecting sets the node online")
async def test_online_while_connected_and_offline_afterwards(way: Way, collaboration: Collaboration):
    node, researcher = collaboration.nodes[0], collaboration.researcher()

    def status() -> str:
        return researcher.node_status(node)

    async with way.online(collaboration):
        assert await asyncio.to_thread(status) == "online"
    await asyncio.to_thread(wait_until, lambda: status() == "offline", 20, status)


@pytest.mark.contract("§4 an earlier connection that ends late")
async def test_the_late_end_of_an_earlier_connection_does_not_leave_the_node_offline(
    way: Way, collaboration: Collaboration
):
    """As after a launcher's sudden death: over polling the server notices it when the next one is long online."""
    node = collaboration.nodes[0]
    root = collaboration.federation.root

    def shown() -> tuple[str, bool]:
        found = root.node.get(node.id)
        return found["status"], bool(found["config"])

    async with way.online(collaboration):
        async with way.online(collaboration):
            pass  # the server now calls the node offline, and drops its configuration
        await asyncio.to_thread(wait_until, lambda: shown() == ("online", True), 20, lambda: str(shown()))


async def test_who_is_told_to_go_offline_while_the_connection_ends_does_not_come_back(
    way: Way, collaboration: Collaboration
):
    async with way.opened(collaboration) as session:
        for pause in (0, 0.001, 0.01, 0.1, 0.3):
            connected = asyncio.create_task(session.stay_connected(Heard()))
            await until(lambda: session.online)
            closing = asyncio.create_task(session._online.socket.close())
            await asyncio.sleep(pause)
            connected.cancel()
            await asyncio.wait({connected}, timeout=5)
            assert connected.cancelled(), f"{pause} s after it began to close"
            await closing


@pytest.mark.contract("§4 expired_token")
@pytest.mark.contract("§4 invalid_token")
@pytest.mark.parametrize("secret", [None, "of nobody"], ids=["expired", "invalid"])
async def test_a_connection_with_a_bad_token_is_made_again_with_a_good_one(
    way: Way, collaboration: Collaboration, secret: str | None, impatient: None
):
    async with way.opened(collaboration) as session:
        session._rest._access = forged(
            way, session._rest._access, secret=secret, seconds=-10 if secret is None else 3600
        )
        began = asyncio.get_running_loop().time()
        async with kept_online(session):
            assert asyncio.get_running_loop().time() - began < 15


@pytest.mark.contract("§4 anonymous connection")
async def test_a_connection_that_the_server_silently_ignores_is_not_believed(
    way: Way, collaboration: Collaboration, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("launcher.session.v4_socket._GREETED_WITHIN", 2.0)
    connection = Connection()
    async with http_session(ServerAccess()) as http:
        session = way.session(http, collaboration.nodes[0].api_key, connection)
        await session.open()
        session._rest._access = "no token at all"
        connected = asyncio.create_task(session.stay_connected(Heard()))
        await until(lambda: "did not greet this node" in connection.reason)
        await until(lambda: session.online and connection.online)
        connected.cancel()
        await asyncio.wait({connected})


@pytest.mark.contract("§4 room of the collaboration")
async def test_a_node_that_the_server_tells_nothing_asks_by_itself(
    way: Way, collaboration: Collaboration, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("launcher.session.v4_socket._IN_ROOM_WITHIN", 1.0)
    monkeypatch.setattr("launcher.session.v4_online._SYNC_EVERY_DEAF", 1.0)
    connection = Connection()
    async with http_session(ServerAccess()) as http:
        session = way.session(http, collaboration.nodes[0].api_key, connection)
        await session.open()
        if way.server.version() == OLDEST:  # which has no other sign than the room's message
            return
        monkeypatch.setattr(V4Session, "_greeting", "what nobody says")
        monkeypatch.setattr(V4Session, "_on_new_task", None)
        heard = Heard()
        connected = asyncio.create_task(session.stay_connected(heard))
        await until(lambda: "room" in connection.reason)
        await until(lambda: connection.online)
        task = await send(collaboration)
        await until(lambda: heard.lists and heard.lists[-1] == [task.run()["id"]])
        connected.cancel()
        await asyncio.wait({connected})


@pytest.mark.contract("§4 ping")
async def test_the_server_sees_pings(way: Way, collaboration: Collaboration, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("launcher.session.v4_online._FIRST_PING", 0.1)
    monkeypatch.setattr("launcher.session.v4_online._PING_EVERY", 0.5)
    root, node = collaboration.federation.root, collaboration.nodes[0]

    def seen() -> Any:
        return root.node.get(node.id)["last_seen"]

    before = await asyncio.to_thread(seen)
    async with way.online(collaboration):
        await asyncio.to_thread(wait_until, lambda: seen() != before, 20, seen)


@pytest.mark.contract("§4 sync")
@pytest.mark.contract("§6 tasks sent while the node was offline")
async def test_a_task_that_was_sent_before_the_node_came_is_in_the_first_list(way: Way, collaboration: Collaboration):
    task = await send(collaboration)
    async with way.online(collaboration) as (_, heard):
        assert heard.lists[0] == [task.run()["id"]]


@pytest.mark.contract("§6 started runs are open")
async def test_a_run_that_was_started_is_listed_again_after_a_reconnection(way: Way, collaboration: Collaboration):
    async with way.online(collaboration) as (session, heard):
        task = await send(collaboration)
        await until(lambda: heard.new)
        await session.take(heard.new[0])
        await session.report_active(heard.new[0])
    async with way.online(collaboration) as (_, heard):
        assert heard.lists[0] == [task.run()["id"]]


@each_release
@pytest.mark.contract("§2 pages")
@pytest.mark.contract("§2 GET /run")
async def test_many_open_runs_are_all_found_across_pages(
    way: Way, collaboration: Collaboration, monkeypatch: pytest.MonkeyPatch
):
    researcher, to = await asyncio.to_thread(collaboration.researcher), [collaboration.nodes[0].organization]
    tasks = [await asyncio.to_thread(researcher.send, "localhost/none:1", "nothing", to=to) for _ in range(12)]
    sent = [task.run()["id"] for task in tasks]
    async with way.online(collaboration) as (session, _):
        monkeypatch.setattr("launcher.session.v4._PAGE", 5)
        assert [run.id for run in await session.open_runs()] == sent


@pytest.mark.contract("§4 other events")
async def test_events_that_are_none_of_its_business_change_nothing(
    way: Way, collaboration: Collaboration, caplog: pytest.LogCaptureFixture
):
    async with way.online(collaboration) as (session, heard):
        async with way.online(collaboration, node=1) as (other, theirs):
            await send(collaboration, to=[1])
            await until(lambda: theirs.new)
            await other.take(theirs.new[0])
            await other.deliver(theirs.new[0], Outcome(RunStatus.COMPLETED), b"1", "")
        await asyncio.sleep(0.5)
        assert session.online
        assert (heard.new, heard.kills) == ([], [])
    ours = [record for record in caplog.records if record.name.startswith("launcher")]
    assert [record.message for record in ours if record.levelname != "INFO"] == []


@pytest.mark.contract("§4 new_task")
async def test_a_task_for_others_only_is_no_news(way: Way, collaboration: Collaboration):
    async with way.online(collaboration) as (_, heard):
        await send(collaboration, to=[1])
        await send(collaboration, to=[0, 1])
        await until(lambda: heard.new)
        assert [run.organization_id for run in heard.new] == [collaboration.nodes[0].organization.id]


@each_release
@pytest.mark.contract("§6 server restart")
@pytest.mark.contract("§3 server with a new secret")
async def test_a_new_secret_of_the_server_is_survived(way: Way, collaboration: Collaboration, impatient: None):
    async with way.online(collaboration) as (session, heard):
        await asyncio.to_thread(way.server.restart, new_jwt_secret=True)
        await until(lambda: not session.online, 60)
        await until(lambda: session.online and len(heard.lists) > 1, 60)
        assert await session.open_runs() == []


@each_release
@pytest.mark.contract("§3 key withdrawn while online")
async def test_a_key_that_is_no_longer_valid_ends_the_session_with_a_sentence(way: Way, collaboration: Collaboration):
    async with way.opened(collaboration) as session:
        session._rest._api_key = ApiKey(NOBODY)
        session._rest._access = forged(way, session._rest._access)
        session._rest._refresh = forged(way, session._rest._access)
        with pytest.RaisesGroup(LoginRefused, allow_unwrapped=True, flatten_subgroups=True):
            async with asyncio.timeout(30):
                await session.stay_connected(Heard())


@each_release
@pytest.mark.contract("§17 version")
def test_the_server_is_of_the_release_that_was_asked_for(way: Way):
    assert way.server.version() == way.server._release
    assert requests.get(f"{way.server.api}/version", timeout=10).ok
