"""Calls to an API server on loopback: what its answers become, and that each is counted once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from kubernetes.aio import client

from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi
from launcher.metrics import REGISTRY
from tests.unit.counted import moving

PODS = "/api/v1/namespaces/x/pods"


def counted(moved: dict[str, float]) -> dict[str, float]:
    prefix = "v6_node_kubernetes_requests_total"
    return {name.removeprefix(prefix): by for name, by in moved.items() if name.startswith(prefix)}


@pytest.fixture
def answer() -> dict[str, Any]:
    """What the API server answers."""
    return {"status": 200, "body": b"{}"}


@pytest.fixture
async def api(answer: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KubeApi]:
    async def say(_: web.Request) -> web.Response:
        return web.Response(status=answer["status"], body=answer["body"])

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", say)
    async with TestServer(app) as server:
        monkeypatch.setattr("launcher.kubeapi.config.load_incluster_config", lambda: None)
        settings = client.Configuration(host=str(server.make_url("")).rstrip("/"))
        monkeypatch.setattr("launcher.kubeapi.client.Configuration.get_default_copy", lambda: settings)
        api = KubeApi()
        yield api
        await api.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, None),
        (201, None),
        (404, ApiRefusal),
        (409, ApiRefusal),
        (401, ClusterUnavailable),
        (429, ClusterUnavailable),
        (503, ClusterUnavailable),
    ],
)
async def test_an_answer_is_counted_by_its_status(
    api: KubeApi, answer: dict[str, Any], status: int, error: type[Exception] | None
) -> None:
    answer["status"] = status
    with moving(REGISTRY) as moved:
        if error is None:
            assert await api.call("GET", f"{PODS}/one") == {}
        else:
            with pytest.raises(error):
                await api.call("GET", f"{PODS}/one")
    assert counted(moved) == {f"{{status={status},verb=get}}": 1}
    assert moved["v6_node_kubernetes_request_seconds_count{verb=get}"] == 1


async def test_a_watch_is_counted_when_it_begins(api: KubeApi, answer: dict[str, Any]) -> None:
    answer["body"] = b"{}\n{}\n"
    with moving(REGISTRY) as moved:
        lines = api.lines(PODS, {"watch": "true"})
        assert await anext(lines) == b"{}\n"
        await lines.aclose()
    assert counted(moved) == {"{status=200,verb=watch}": 1}


async def test_an_answer_that_is_no_json_is_one_request_all_the_same(api: KubeApi, answer: dict[str, Any]) -> None:
    answer["body"] = b"<html>"
    with moving(REGISTRY) as moved, pytest.raises(ClusterUnavailable):
        await api.call("GET", PODS)
    assert counted(moved) == {"{status=200,verb=list}": 1}


async def test_no_answer_is_counted_as_none(api: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api._client.configuration, "_base_path", f"http://127.0.0.1:{unused_port()}")
    with moving(REGISTRY) as moved, pytest.raises(ClusterUnavailable):
        await api.call("POST", PODS, body={})
    assert counted(moved) == {"{status=none,verb=create}": 1}
