"""The API server's 429: a call is made again when it said; nothing else is written meanwhile."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client

from launcher import kubeapi
from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi

PATH = "/apis/batch/v1/namespaces/x/jobs"


@pytest.fixture
async def api(monkeypatch):
    """A client, with an API server that answers what `answers` holds, one after the other, then 201."""
    heard, answers = [], []

    async def answer(request):
        heard.append((request.method, asyncio.get_running_loop().time()))
        status, headers = answers.pop(0) if answers else (201, {})
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
