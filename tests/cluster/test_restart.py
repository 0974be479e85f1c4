"""The launcher is killed without warning; every run still happens once, and its result arrives once.

The judges are independent of the launcher: a recording proxy before the real server counts the deliveries that the
server accepted, the algorithm leaves a mark each time it is executed, and a watch of our own counts Jobs and pods.
"""

import threading
import time
from collections.abc import Iterator

import pytest

from ci.cluster import Cluster
from tests import figures
from tests.cluster.observed import Observed, observed
from tests.cluster.troupe import Troupe
from tests.stage.detour import detour
from tests.stage.kube import Kubectl
from tests.stage.recorder import Exchange
from tests.stage.valve import Valve


@pytest.fixture
def valve(cluster: Cluster, kubectl: Kubectl) -> Iterator[Valve]:
    host, port = kubectl.api_server()
    with Valve(cluster.host_address, (host, port)) as valve:
        yield valve


@pytest.fixture
def scene(troupe: Troupe, cluster: Cluster, behave: str) -> Iterator[Observed]:
    with observed(troupe, cluster.host_address, behave) as scene:
        yield scene


@pytest.mark.contract("§6 a run is executed once")
def test_killed_while_three_runs_are_active_each_is_executed_and_delivered_once(scene: Observed) -> None:
    scene.node.start()
    tasks = [scene.send(mark, 15) for mark in ("one", "two", "three")]
    for task in tasks:
        task.wait(60, until=lambda each: each.statuses() == ["active"])
    how = scene.node.kill_launcher()
    figures.note("figures", f"launcher killed while three runs were active, by {how}")
    scene.judge(*tasks)


@pytest.mark.contract("§6 a finished algorithm's result is delivered after a restart")
@pytest.mark.contract("§18 5 nothing is lost when the delivery fails")
def test_killed_while_a_run_ends_its_result_is_delivered_once(scene: Observed) -> None:
    scene.node.start()
    task = scene.send("mark", 2)
    run = task.run()["id"]
    # The server is "down" for the delivery, and the launcher is killed before it can try again.
    knocked = threading.Event()

    def refuse(method: str, path: str, body: object) -> int | None:
        if method == "PATCH" and path.endswith(f"/run/{run}") and isinstance(body, dict) and body.get("finished_at"):
            knocked.set()
            return 503
        return None

    scene.recorder.intercept = refuse
    assert knocked.wait(60), "the launcher never tried to deliver"
    scene.node.kill_launcher()
    scene.recorder.intercept = None
    scene.judge(task)


@pytest.mark.contract("§6 a finished algorithm's result is delivered after a restart")
def test_killed_after_the_server_took_a_result_but_before_it_said_so_nothing_is_done_again(scene: Observed) -> None:
    scene.node.start()
    task = scene.send("mark", 2)
    run = task.run()["id"]
    taken = threading.Event()

    def keep_back(exchange: Exchange) -> bool:
        if exchange in scene.recorder.deliveries(run):
            taken.set()
            return True
        return False

    scene.recorder.withhold = keep_back
    assert taken.wait(60), "the launcher never delivered"
    scene.node.kill_launcher()
    scene.recorder.withhold = None
    scene.judge(task)


@pytest.mark.contract("§6 a run is executed once")
def test_killed_between_the_creation_of_a_job_and_the_first_word_of_it_the_run_is_executed_once(
    scene: Observed, valve: Valve, cluster: Cluster, kubectl: Kubectl
) -> None:
    """The launcher's connections to the API server go through a valve, which is held before the task is sent.

    So the request to create the Job gets through, while neither its answer nor any watch event comes back. As soon as
    our own watch shows the Job, the launcher is killed: it can't have heard of it, however fast it is.
    """
    detour(scene.node, kubectl, cluster.host_address, valve.port)
    scene.node.start()
    # A run to begin with leaves the launcher with an open connection: a new one could not even shake hands.
    assert scene.researcher.send(scene.image, "sleep", 0).wait().result() == 0
    valve.hold()
    task = scene.send("mark", 1)
    run = task.run()["id"]
    scene.witness.wait_for("Job", run)
    heard = [event for event in scene.node.launcher_events() if event.get("run") == run and event["event"] == "started"]
    scene.node.kill_launcher()
    assert valve.connections and not heard, "it was to be killed before it heard of the Job"
    time.sleep(1)  # the old process is gone before its connections speak again
    valve.release()
    scene.judge(task)
