"""A run from the task to the result, as a real client sees it; and a node that comes and goes."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import figures
from tests.cluster.troupe import Troupe
from tests.stage.client import moment
from tests.stage.federation import Researcher
from tests.stage.kube import Kubectl
from tests.stage.node import Node
from tests.stage.waiting import wait_until
from tests.stage.watching import Witness


@pytest.fixture(scope="module")
def node(troupe: Troupe) -> Node:
    node = troupe.node(troupe.collaboration())
    node.values["jobs"] = {"waitForRepairSeconds": 20}
    return node.start()


@pytest.mark.contract("§5 active")
@pytest.mark.contract("§5 completed")
@pytest.mark.contract("§9 log")
def test_a_run_goes_from_pending_over_active_to_completed_and_brings_its_log(
    researcher: Researcher, behave: str
) -> None:
    task = researcher.send(behave, "sleep", 3)
    seen = task.statuses()
    deadline = time.monotonic() + 60
    while not task.finished() and time.monotonic() < deadline:
        (status,) = task.statuses()
        if status != seen[-1]:
            seen.append(status)
        time.sleep(0.1)
    seen += [status for status in task.statuses() if status != seen[-1]]
    assert seen == ["pending", "active", "completed"]
    assert task.result() == 3
    run = task.run()
    assert "sleeping 3 s" in run["log"]
    assert task.created() <= moment(run["started_at"]) <= moment(run["finished_at"])


@pytest.mark.contract("§5 crashed")
@pytest.mark.contract("§9 log")
def test_a_crash_is_reported_as_crashed_with_the_algorithms_log(researcher: Researcher, behave: str) -> None:
    run = researcher.send(behave, "crash", "the cohort is empty").wait().run()
    assert run["status"] == "crashed"
    assert "the cohort is empty" in run["log"]
    assert "RuntimeError" in run["log"]
    assert run["finished_at"]
    assert not researcher.client.result.get(run["id"])


@pytest.mark.contract("§5 crashed")
def test_a_process_that_just_exits_is_a_crash_too(researcher: Researcher, behave: str) -> None:
    assert researcher.send(behave, "exit_code", 3).wait().run()["status"] == "crashed"


@pytest.mark.contract("§5 non-existing Docker image")
def test_an_image_that_does_not_exist_is_reported_as_that(researcher: Researcher) -> None:
    run = researcher.send("localhost/no-such-algorithm:1", "f").wait(180).run()
    assert run["status"] == "non-existing Docker image"
    assert "localhost/no-such-algorithm:1" in run["log"]


def test_a_large_result_arrives_whole(researcher: Researcher, behave: str) -> None:
    size = 8 * 2**20
    result = researcher.send(behave, "big_output", size).wait().result()
    assert result == {"data": "x" * size}


def test_jobs_and_files_are_gone_once_the_server_has_the_result(
    node: Node, researcher: Researcher, behave: str
) -> None:
    task = researcher.send(behave, "sleep", 0).wait()
    assert task.result() == 0
    wait_until(lambda: not node.jobs() and not node.pods("algorithm"), 30, lambda: f"Jobs left: {node.jobs()}")
    left = node.kubectl(
        "exec", "v6-node-launcher-0", "--", "python", "-c", "import os; print(os.listdir('/tasks/runs'))",
        namespace=node.namespace,
    )  # fmt: skip
    assert left.strip() == "[]"


def test_twenty_runs_sent_at_once_all_complete(
    node: Node, researcher: Researcher, behave: str, kubectl: Kubectl
) -> None:
    with Witness(kubectl.kubeconfig, node.namespace) as witness:
        with ThreadPoolExecutor(20) as crowd:
            tasks = list(crowd.map(lambda _: researcher.send(behave, "tick", "runs"), range(20)))
        results = [task.wait(300).result() for task in tasks]
        runs = [task.run() for task in tasks]
    assert results == [{"executions": 1, "run": "runs"}] * 20
    assert all(len(witness.of_run(run["id"], "Pod")) == 1 for run in runs)
    # From when the server made the task, by its clock, which is this machine's, to when a watch of our own saw the Job.
    created = [task.created() for task in tasks]
    seen = [witness.wait_for("Job", run["id"]).at for run in runs]
    waits = sorted(after - before.timestamp() for before, after in zip(created, seen, strict=True))
    took = (max(moment(run["finished_at"]) for run in runs) - min(created)).total_seconds()
    median, slowest = statistics.median(waits), waits[-1]
    figures.note(
        "figures", f"20 runs at once, task created -> Job seen: median {median:.2f} s, slowest {slowest:.2f} s"
    )
    figures.note("figures", f"20 runs at once, first task created -> last run finished: {took:.1f} s")


@pytest.mark.contract("§6 tasks sent while the node was offline")
def test_a_node_is_offline_when_it_stops_and_runs_what_was_sent_meanwhile_when_it_is_back(
    node: Node, researcher: Researcher, behave: str
) -> None:
    assert researcher.node_status(node.account) == "online"
    node.scale_launcher(0)
    wait_until(lambda: researcher.node_status(node.account) == "offline", 60, lambda: "the node is still online")
    task = researcher.send(behave, "tick", "late")
    time.sleep(3)
    assert task.statuses() == ["pending"]
    assert not node.jobs()
    node.scale_launcher(1)
    wait_until(lambda: researcher.node_status(node.account) == "online", 60, lambda: "the node is still offline")
    assert task.wait().result() == {"executions": 1, "run": "late"}
