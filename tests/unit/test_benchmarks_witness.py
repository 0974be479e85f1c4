"""The witness of the cluster, as a process, and the raw API, before a stand-in for the API server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from benchmarks.journal import Journal, witness
from benchmarks.kube import RawApi
from benchmarks.sightings import SeenInCluster
from tests.stage import StageError

JOBS = "/apis/batch/v1/namespaces/hospital/jobs"


def job(name: str) -> dict[str, object]:
    return {"metadata": {"name": name, "labels": {"v6-node.vantage6.ai/run-id": "7"}}}


@asynccontextmanager
async def api_server(folder: Path) -> AsyncIterator[tuple[Path, list[tuple[str, str, str]]]]:
    """It has one Job, ends each watch after it, and remembers method, path and body; yields a kubeconfig too."""
    asked: list[tuple[str, str, str]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append((request.method, request.path_qs, await request.text()))
        if request.query.get("watch"):
            event = json.dumps({"type": "ADDED", "object": job("run-7")}) + "\n"
            return web.Response(text=event if request.path == JOBS else "")
        if request.path.endswith("/none"):
            return web.json_response({"message": "there is none"}, status=404)
        return web.json_response({"items": []})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server:
        kubeconfig = folder / "kubeconfig"
        named = {
            "clusters": [{"name": "c", "cluster": {"server": str(server.make_url("")).rstrip("/")}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        }
        kubeconfig.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "x", **named}))
        yield kubeconfig, asked


async def test_what_a_watch_shows_is_written_with_its_time_and_a_watch_that_ended_begins_again(tmp_path: Path) -> None:
    seen, journal = SeenInCluster(), Journal(tmp_path / "cluster.jsonl")
    async with api_server(tmp_path) as (kubeconfig, asked):
        arguments = str(kubeconfig), "hospital", str(tmp_path / "cluster.jsonl")
        async with witness("benchmarks.cluster_witness", *arguments) as said, asyncio.timeout(30):
            assert said == "watching"
            while len([path for _, path, _ in asked if path.startswith(f"{JOBS}?watch=true")]) < 2:
                await asyncio.sleep(0.05)
            while not seen.jobs:
                seen.take(journal.new())
                await asyncio.sleep(0.05)
    found = seen.of_run(7)
    assert found
    assert found.created


async def test_a_call_returns_the_tree_and_nothing_where_what_is_to_be_deleted_is_gone(tmp_path: Path) -> None:
    async with api_server(tmp_path) as (kubeconfig, asked), RawApi(kubeconfig) as api:
        assert await api.call("POST", JOBS, job("raw-1"), {"dryRun": "All"}) == {"items": []}
        assert await api.call("DELETE", f"{JOBS}/none", {"propagationPolicy": "Foreground"}) == {}
        with pytest.raises(StageError, match=r"answered 404: .*there is none"):
            await api.call("GET", f"{JOBS}/none")
    assert [(method, path) for method, path, _ in asked] == [
        ("POST", f"{JOBS}?dryRun=All"),
        ("DELETE", f"{JOBS}/none"),
        ("GET", f"{JOBS}/none"),
    ]
    assert json.loads(asked[0][2]) == job("raw-1")
    assert json.loads(asked[1][2]) == {"propagationPolicy": "Foreground"}
