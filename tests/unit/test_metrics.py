"""What the launcher's metrics say of runs, and that no label can be chosen by anybody."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

import launcher.kubeapi
import launcher.metrics
import proxy.metrics
from launcher.connection import Connection
from launcher.metricsport import application
from launcher.progress import TIMED, Progress, Stage, State, show, state
from launcher.runs import Cause, JobState, RunStatus, ServerState
from launcher.session import ServerUnavailable
from tests.unit.counted import Samples, moving
from tests.unit.reconciled_world import FakeSession, World, done, live, start
from tests.unit.test_taskfiles import RUN

LABELS = {
    "cause": set(Cause),
    "error": {"unreachable", "away", "broken off", "unreadable"},
    "result": {"passed", "failed", "unknown"},
    "route": {*proxy.metrics.ROUTES, proxy.metrics.NO_ROUTE},
    "stage": set(TIMED),
    "state": set(State),
    "verb": {"get", "list", "watch", "create", "patch", "delete", "log"},
}
"""Every value that a label may have; `status` is a status of HTTP, or that of a run."""
STATUSES = {str(number) for number in range(100, 600)} | {"none"} | {status.value for status in RunStatus}


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, [RUN])


async def test_a_run_s_way_and_end_are_counted(world):
    with moving(launcher.metrics.REGISTRY) as moved:
        start(world)
        await live(world)
        await world.reconciler.close(1)
    assert done(world)
    stages = ("placed", "taken", "written", "created", "read", "delivered", "cleaned")
    assert moved == {
        "v6_node_runs_delivered_total{cause=none,status=completed}": 1,
        **{f"v6_node_run_stage_seconds_count{{stage={stage}}}": 1 for stage in stages},
    }


@pytest.mark.parametrize(
    ("change", "status", "cause"),
    [
        (lambda world: world.runs.update({7: replace(RUN, image="forbidden")}), RunStatus.NOT_ALLOWED, Cause.POLICY),
        (lambda world: setattr(world, "exit_code", 3), RunStatus.CRASHED, Cause.EXIT_CODE),
    ],
    ids=["refused", "crashed"],
)
async def test_why_a_run_failed_is_counted(world, change, status, cause):
    change(world)
    with moving(launcher.metrics.REGISTRY) as moved:
        start(world)
        await live(world)
    assert done(world)
    ends = {name: by for name, by in moved.items() if name.startswith("v6_node_runs_delivered")}
    assert ends == {f"v6_node_runs_delivered_total{{cause={cause},status={status.value}}}": 1}


async def test_a_result_that_the_server_does_not_take_is_the_backlog(world, monkeypatch):
    deliver = FakeSession.deliver

    async def away(*_):
        raise ServerUnavailable("away")

    monkeypatch.setattr(FakeSession, "deliver", away)
    start(world)
    await live(world, rounds=20)
    assert _gauges(world) == {"ended": 1, "backlog": 1}
    assert Samples(launcher.metrics.REGISTRY).value("v6_node_undelivered_oldest_age_seconds") > 0
    monkeypatch.setattr(FakeSession, "deliver", deliver)
    world.reconciler.changed(7)
    await live(world)
    await world.reconciler.close(1)
    assert done(world)
    assert _gauges(world) == {}
    assert Samples(launcher.metrics.REGISTRY).value("v6_node_undelivered_oldest_age_seconds") == 0


def _gauges(world):
    world.reconciler.show_progress()
    found = Samples(launcher.metrics.REGISTRY)
    counts = {each.value: found.value("v6_node_runs", state=each) for each in State}
    counts["backlog"] = found.value("v6_node_undelivered_runs")
    return {name: count for name, count in counts.items() if count}


async def test_a_run_that_may_not_start_yet_is_open(world):
    world.may_start = False
    start(world)
    await asyncio.sleep(0.01)
    assert _gauges(world) == {"open": 1}
    await world.reconciler.close(0)


@pytest.mark.parametrize("server", ServerState)
@pytest.mark.parametrize("job", JobState)
def test_every_run_is_in_one_state(server, job):
    found = state(server, job)
    if job is JobState.FOREIGN:
        assert found is State.FOREIGN
    elif server is ServerState.OPEN:
        assert found in {State.OPEN, State.WAITING, State.RUNNING, State.ENDED}
    else:
        assert found.name == server.name


def stamp(seconds):
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_cluster_s_stages_are_timed_by_its_own_stamps():
    now = time.time()
    job = {"metadata": {"creationTimestamp": stamp(now - 100)}}
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": stamp(now - 90)}
    ran = {"terminated": {"exitCode": 0, "startedAt": stamp(now - 60), "finishedAt": stamp(now - 10)}}
    pod = {"status": {"conditions": [scheduled], "containerStatuses": [{"name": "algorithm", "state": ran}]}}
    before = Samples(launcher.metrics.REGISTRY)
    progress = Progress()
    progress.reached(Stage.CREATED)
    for _ in range(2):  # told again, it counts once
        progress.runs(job, pod)
        progress.noticed(pod)
    after = Samples(launcher.metrics.REGISTRY)

    def took(stage):
        values = [found.value("v6_node_run_stage_seconds_sum", stage=stage) for found in (before, after)]
        return values[1] - values[0]

    assert [round(took(stage)) for stage in ("scheduled", "started", "ended")] == [10, 30, 50]
    assert took("noticed") == pytest.approx(10, abs=1.5)
    assert after.differs(before) == {
        f"v6_node_run_stage_seconds_count{{stage={stage}}}": 1 for stage in ("scheduled", "started", "ended", "noticed")
    }


def test_stamps_that_cannot_be_read_do_no_harm():
    ran = {"terminated": {"exitCode": 0, "startedAt": "once upon", "finishedAt": "a time"}}
    pod = {"status": {"containerStatuses": [{"name": "algorithm", "state": ran}]}}
    progress = Progress()
    progress.reached(Stage.CREATED)
    progress.runs({"metadata": {"creationTimestamp": "000003"}}, pod)
    progress.noticed(pod)
    assert progress.undelivered_since is not None


def test_a_job_of_an_earlier_launcher_is_not_timed_twice():
    pod = {"status": {"containerStatuses": [{"name": "algorithm", "state": {"running": {"startedAt": stamp(1)}}}]}}
    with moving(launcher.metrics.REGISTRY) as moved:
        Progress().runs({"metadata": {"creationTimestamp": stamp(1)}}, pod)
    assert moved == {}


def test_a_failure_that_was_not_told_is_forgotten_when_the_run_starts_after_all():
    progress = Progress()
    progress.state = State.OPEN
    for stage in (Stage.HEARD, Stage.TAKEN):
        progress.reached(stage)
    progress.noticed()
    assert progress.undelivered_since is not None
    progress.reached(Stage.TAKEN)
    assert progress.undelivered_since is not None, "taking it again is not yet another end"
    progress.reached(Stage.CREATED)
    assert progress.undelivered_since is None


def test_ten_thousand_runs_are_counted_within_a_scrape():
    known = [Progress() for _ in range(10_000)]
    for each in known:
        each.reached(Stage.HEARD)
        each.state = State.OPEN
    begun = time.perf_counter()
    show(known)
    assert time.perf_counter() - begun < 0.5
    assert Samples(launcher.metrics.REGISTRY).value("v6_node_runs", state="open") == 10_000


def test_coming_online_again_is_counted():
    connection = Connection()
    with moving(launcher.metrics.REGISTRY) as moved:
        for step in (connection.came, connection.came, lambda: connection.failed("away."), connection.came):
            step()
    assert moved["v6_node_connections_total"] == 2
    assert moved["v6_node_connection_failures_total"] == 1


@pytest.mark.parametrize(
    ("method", "path", "query", "verb"),
    [
        ("GET", "/api/v1/namespaces/x/pods", {"limit": 500}, "list"),
        ("GET", "/api/v1/namespaces/x/pods", {"watch": "true"}, "watch"),
        ("GET", "/apis/batch/v1/namespaces/x/jobs/run-7", {}, "get"),
        ("GET", "/api/v1/namespaces/x/pods/run-7-abc/log", {"follow": "true"}, "log"),
        ("GET", "/version", {}, "get"),
        ("POST", "/apis/batch/v1/namespaces/x/jobs", {}, "create"),
        ("PATCH", "/apis/networking.k8s.io/v1/namespaces/x/networkpolicies/p", {}, "patch"),
        ("DELETE", "/apis/batch/v1/namespaces/x/jobs/run-7", {}, "delete"),
    ],
)
def test_requests_are_counted_by_kubernetes_own_verbs(method, path, query, verb):
    assert launcher.kubeapi._verb(method, path, query) == verb


@pytest.mark.parametrize("registry", [launcher.metrics.REGISTRY, proxy.metrics.REGISTRY], ids=["launcher", "proxy"])
def test_no_label_is_free_text(registry: CollectorRegistry):
    """Whatever the other tests of this process sent, and an algorithm might."""
    launcher.metrics.KUBERNETES.labels("get", 200).inc()
    for hostile in ("/task/7", "\n# TYPE", *proxy.metrics.ROUTES):
        proxy.metrics.count(hostile, 200, 0.1)
    found = [
        (sample.name, label, text)
        for family in registry.collect()
        for sample in family.samples
        for label, text in sample.labels.items()
        if sample.name.startswith("v6_node_") and label != "le"
    ]
    assert found
    for name, label, text in found:
        assert text in (STATUSES if label == "status" else LABELS[label]), (name, label, text)


async def test_a_scraper_finds_metrics_and_nothing_else():
    refreshed = []
    app = application(launcher.metrics.REGISTRY, lambda: refreshed.append(True))
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/metrics")
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        assert "v6_node_online" in await answer.text()
        assert refreshed == [True]
        for path in ("/identity", "/isolation", "/connection", "/"):
            assert (await client.get(path)).status == 404
        assert (await client.post("/isolation")).status == 404
