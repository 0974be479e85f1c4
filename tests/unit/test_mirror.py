"""A mirror against an API server on loopback that says what it is told to: what is asked for, and from where on."""

import asyncio
import contextlib
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client

from launcher import abridged
from launcher.kubeapi import KubeApi
from launcher.mirror import Mirror, name

PATH = "/apis/batch/v1/namespaces/x/jobs"


def job(called, version):
    about = {"name": called, "uid": f"uid of {called}", "resourceVersion": str(version), "creationTimestamp": "1"}
    return {"metadata": about}


class Server:
    """Answers a list with one Job, and each watch with the next of `watches`; the last one stays open."""

    def __init__(self, watches):
        self.watches = watches
        self.lists = 0
        self.watched_from = []

    async def answer(self, request):
        if "watch" not in request.query:
            self.lists += 1
            return web.json_response({"items": [job("one", 3)], "metadata": {"resourceVersion": "7"}})
        self.watched_from.append(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        for kind, tree in self.watches.pop(0):
            await response.write(json.dumps({"type": kind, "object": tree}).encode() + b"\n")
        if not self.watches:
            await asyncio.sleep(60)
        return response


@contextlib.asynccontextmanager
async def mirrored(watches, shorten=lambda whole: whole):
    """A mirror of what such a server has; with the names that it told of, in order."""
    server, told = Server(watches), []
    application = web.Application()
    application.router.add_route("GET", PATH, server.answer)
    async with TestServer(application) as listening:
        configuration = client.Configuration()
        configuration.host = str(listening.make_url("")).rstrip("/")
        api = KubeApi(configuration)
        mirror = Mirror(api, PATH, told.append, key=name, shorten=shorten)
        following = asyncio.create_task(mirror.follow())
        async with asyncio.timeout(10):
            while server.watches:
                await asyncio.sleep(0.01)
        yield server, mirror, told
        following.cancel()
        await api.close()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ([], "7"),
        ([("ADDED", job("two", 9)), ("MODIFIED", job("one", 12))], "12"),
        ([("ADDED", job("two", 9)), ("BOOKMARK", {"metadata": {"resourceVersion": "40"}})], "40"),
    ],
    ids=["nothing happened", "something happened", "a bookmark"],
)
async def test_a_watch_that_ended_in_its_time_goes_on_where_it_was(first, then):
    async with mirrored([first, []]) as (server, mirror, told):
        assert server.watched_from == ["7", then]
        assert server.lists == 1
        assert set(mirror.seen) == {"one", *(tree["metadata"]["name"] for kind, tree in first if kind == "ADDED")}
        assert told == ["one", *(tree["metadata"]["name"] for kind, tree in first if kind != "BOOKMARK")]


async def test_one_whose_version_is_too_old_begins_with_a_list():
    gone = ("ERROR", {"code": 410, "message": "too old resource version"})
    async with mirrored([[gone], []]) as (server, _, told):
        assert server.lists == 2
        assert told == ["one", "one"]


async def test_an_answer_renews_what_is_known_but_brings_nothing_back():
    async with mirrored([[("ADDED", job("two", 9)), ("DELETED", job("two", 11))], []]) as (_, mirror, _):
        for called in ("one", "two"):
            mirror.renew(job(called, 10))
        assert {name: tree["metadata"]["resourceVersion"] for name, tree in mirror.seen.items()} == {"one": "10"}
        mirror.renew({"metadata": {**job("one", 12)["metadata"], "uid": "of a later one"}})
        assert mirror.seen["one"]["metadata"]["resourceVersion"] == "10"


async def test_what_changes_nothing_of_what_is_kept_is_nobodys_news():
    """A Job changes several times without a change of anything that a run's next step is decided by."""
    counted = job("one", 12) | {"status": {"active": 1, "ready": 1}}
    ended = job("one", 13) | {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    changes = [("MODIFIED", job("one", 11)), ("MODIFIED", counted), ("MODIFIED", ended), ("MODIFIED", ended)]
    async with mirrored([changes, []], abridged.job) as (_, mirror, told):
        assert told == ["one", "one"]
        assert mirror.seen["one"]["status"] == ended["status"]
