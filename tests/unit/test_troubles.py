"""Events: what is asked for, what is kept, and how much."""

import asyncio
import json

from launcher import mirror, troubles
from launcher.cluster import Cluster
from launcher.troubles import Troubles
from launcher.waiting import Trouble


def event(number, *, name="run-7-abcde", kind="Pod", reason="FailedMount", message="no such path", type_="ADDED"):
    item = {
        "metadata": {
            "resourceVersion": str(number),
            "name": f"e{number}",
            "uid": f"e{number}",
            "creationTimestamp": f"2026-01-01T00:00:{number % 60:02d}Z",
            "managedFields": [{"much": "of it"}],
        },
        "involvedObject": {"kind": kind, "name": name, "uid": f"uid of {name}"},
        "reason": reason,
        "message": message,
        "source": {"component": "kubelet"},
    }
    return {"type": type_, "object": item}


class Api:
    """An API server with some Events to list, and some that come later."""

    def __init__(self, listed=(), coming=()):
        self.listed, self.coming = [each["object"] for each in listed], list(coming)
        self.queries = []

    async def call(self, method, path, query):
        self.queries.append(dict(query))
        start = int(query.get("continue", 0))
        page = self.listed[start : start + query["limit"]]
        more = {"continue": str(start + query["limit"])} if start + query["limit"] < len(self.listed) else {}
        return {"items": page, "metadata": {"resourceVersion": "5", **more}}

    async def lines(self, path, query):
        self.queries.append(dict(query))
        for each in self.coming:
            yield json.dumps(each).encode()
        await asyncio.Event().wait()


async def seen(api):
    changed = []
    known = Troubles(api, "/events", changed.append)
    task = asyncio.create_task(known.follow())
    await asyncio.sleep(0.01)
    task.cancel()
    return known, changed


async def test_the_last_warning_of_each_run_is_known():
    first, last = event(1), event(2, message="still none")
    job = event(3, name="run-8", kind="Job", reason="FailedCreate")
    known, changed = await seen(Api([last, first], [job]))
    assert known.of_run(7) == Trouble("uid of run-7-abcde", "FailedMount", "still none")
    assert known.of_run(8) == Trouble("uid of run-8", "FailedCreate", "no such path")
    assert known.of_run(9) is None
    assert changed == [7, 8]


async def test_what_is_none_of_a_run_is_not_even_kept():
    others = [
        event(1, name="v6-node-launcher-0"),
        event(2, name="run-7", kind="Service"),
        event(3, name="run-x-7"),
        event(4, reason="Failed", message="Error: ImagePullBackOff"),
    ]
    known, changed = await seen(Api(others, others))
    assert known._mirror.seen == {}
    assert changed == []


async def test_the_api_server_selects_and_lists_in_pages(monkeypatch):
    monkeypatch.setattr(mirror, "_PAGE", 2)
    api = Api([event(number, name=f"run-{number}-x") for number in range(5)])
    _, changed = await seen(api)
    assert changed == [0, 1, 2, 3, 4]
    assert [query.get("continue") for query in api.queries[:3]] == [None, "2", "4"]
    for query in api.queries:
        assert query["fieldSelector"].split(",") == [
            "type=Warning",
            "reason!=FailedScheduling",
            "reason!=BackOff",
            "reason!=Unhealthy",
        ]


async def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(troubles, "_MOST", 10)
    known, _ = await seen(Api([], [event(n, name=f"run-{n}-x", message="x" * 10**6) for n in range(30)]))
    assert len(known._mirror.seen) == 10
    assert all(len(json.dumps(each)) < 2000 for each in known._mirror.seen.values())
    assert known.of_run(29) and not known.of_run(0)


async def test_a_warning_is_forgotten_when_it_expires_or_its_run_goes():
    known, _ = await seen(Api([event(1), event(2, name="run-8-x")], [event(1, type_="DELETED")]))
    assert known.of_run(7) is None
    known.forget(8)
    assert known.of_run(8) is None


async def test_the_cluster_keeps_warnings_of_runs_that_it_has_not_heard_of_yet():
    """A quota refuses the pod before the answer to the Job's creation is here."""
    cluster = Cluster(Api([], [event(1)]), "hospital")
    told = []
    cluster.on_change = told.append
    task = asyncio.create_task(cluster._troubles.follow())
    await asyncio.sleep(0.01)
    task.cancel()
    assert told == [7]
    assert cluster.trouble(7)
    cluster._changed(7)  # its Job went
    assert cluster.trouble(7) is None
