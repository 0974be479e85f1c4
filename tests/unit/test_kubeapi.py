"""Calls to an API server on loopback: how its 429 is obeyed, what its answers become, and that each is counted once."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from kubernetes.aio import client

from launcher import kubeapi
from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi
from launcher.metrics import REGISTRY
from tests.unit.counted import moving

PATH = "/apis/batch/v1/namespaces/x/jobs"
PODS = "/api/v1/namespaces/x/pods"


@pytest.fixture
async def api(monkeypatch):
    """A client, with an API server that answers what `answers` holds, one after the other, then 201."""
    heard, answers = [], []

    async def answer(request):
        heard.append((request.method, asyncio.get_running_loop().time()))
        status, headers, *body = answers.pop(0) if answers else (201, {})
        if body:
            return web.Response(body=body[0], status=status, headers=headers)
        return web.json_response({"message": "too many requests"}, status=status, headers=headers)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as server:
        configuration = client.Configuration()
        configuration.host = str(server.make_url("")).rstrip("/")
        monkeypatch.setattr(kubeapi.config, "load_incluster_config", lambda: None)
        monkeypatch.setattr(client.Configuration, "get_default_copy", lambda: configuration)
        api = KubeApi()
        api.heard, api.answers = heard, answers
        yield api
        await api.close()


async def test_a_call_is_made_again_when_the_api_server_said(api):
    api.answers += [(429, {"Retry-After": "1"})]
    assert await api.call("POST", PATH, body={}) == {"message": "too many requests"}
    (_, first), (_, second) = api.heard
    assert second - first >= 1.0


async def test_meanwhile_nothing_else_is_written_but_what_must_end_is_ended(api):
    api.answers += [(429, {"Retry-After": "1"})]
    busy = asyncio.create_task(api.call("POST", PATH, body={}))
    while not api.heard:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    other = asyncio.create_task(api.call("POST", PATH, body={}))
    await api.call("DELETE", f"{PATH}/run-1")
    await asyncio.gather(busy, other)
    start = api.heard[0][1]
    assert [method for method, _ in api.heard][:2] == ["POST", "DELETE"]
    assert all(at - start >= 1.0 for method, at in api.heard[1:] if method == "POST")


async def test_one_that_is_always_busy_is_left_to_whoever_asked_with_the_time_it_said(api, monkeypatch):
    monkeypatch.setattr(kubeapi, "_TRIES_WHEN_BUSY", 1)
    api.answers += [(429, {"Retry-After": "1"}), (429, {"Retry-After": "7"})]
    with pytest.raises(ClusterUnavailable) as raised:
        await api.call("GET", PATH)
    assert raised.value.retry_after == 7.0
    assert len(api.heard) == 2


@pytest.mark.parametrize(("header", "seconds"), [("", 1.0), ("soon", 1.0), ("3", 3.0), ("86400", 30.0)])
async def test_how_long_it_is_waited_for(api, monkeypatch, header, seconds):
    monkeypatch.setattr(kubeapi, "_TRIES_WHEN_BUSY", 0)
    api.answers += [(429, {"Retry-After": header} if header else {})]
    with pytest.raises(ClusterUnavailable) as raised:
        await api.call("GET", PATH)
    assert raised.value.retry_after == seconds


async def test_other_refusals_are_not_repeated(api):
    api.answers += [(403, {}), (503, {"Retry-After": "2"})]
    with pytest.raises(ApiRefusal):
        await api.call("POST", PATH, body={})
    with pytest.raises(ClusterUnavailable) as raised:
        await api.call("POST", PATH, body={})
    assert raised.value.retry_after == 2.0
    assert len(api.heard) == 2


# What is counted


def counted(moved):
    prefix = "v6_node_kubernetes_requests_total"
    return {name.removeprefix(prefix): by for name, by in moved.items() if name.startswith(prefix)}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, None),
        (201, None),
        (404, ApiRefusal),
        (409, ApiRefusal),
        (401, ClusterUnavailable),
        (503, ClusterUnavailable),
    ],
)
async def test_an_answer_is_counted_by_its_status(api, status, error):
    api.answers += [(status, {}, b"{}")]
    with moving(REGISTRY) as moved:
        if error is None:
            assert await api.call("GET", f"{PODS}/one") == {}
        else:
            with pytest.raises(error):
                await api.call("GET", f"{PODS}/one")
    assert counted(moved) == {f"{{status={status},verb=get}}": 1}
    assert moved["v6_node_kubernetes_request_seconds_count{verb=get}"] == 1


async def test_a_call_that_is_made_again_is_counted_each_time(api):
    api.answers += [(429, {"Retry-After": "1"})]
    with moving(REGISTRY) as moved:
        await api.call("POST", PATH, body={})
    assert counted(moved) == {"{status=429,verb=create}": 1, "{status=201,verb=create}": 1}


async def test_a_watch_is_counted_when_it_begins(api):
    api.answers += [(200, {}, b"{}\n{}\n")]
    with moving(REGISTRY) as moved:
        lines = api.lines(PODS, {"watch": "true"})
        assert await anext(lines) == b"{}\n"
        await lines.aclose()
    assert counted(moved) == {"{status=200,verb=watch}": 1}


async def test_an_answer_that_is_no_json_is_one_request_all_the_same(api):
    api.answers += [(200, {}, b"<html>")]
    with moving(REGISTRY) as moved, pytest.raises(ClusterUnavailable):
        await api.call("GET", PODS)
    assert counted(moved) == {"{status=200,verb=list}": 1}


async def test_no_answer_is_counted_as_none(api, monkeypatch):
    monkeypatch.setattr(api._client.configuration, "_base_path", f"http://127.0.0.1:{unused_port()}")
    with moving(REGISTRY) as moved, pytest.raises(ClusterUnavailable):
        await api.call("POST", PODS, body={})
    assert counted(moved) == {"{status=none,verb=create}": 1}
