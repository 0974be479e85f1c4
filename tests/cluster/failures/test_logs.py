"""Logs as the researcher gets them: while the algorithm runs, long ones, over the death of the launcher, or none."""

import time

import pytest
import socketio

from tests import figures
from tests.cluster.troupe import Troupe
from tests.stage.federation import Researcher
from tests.stage.node import LAUNCHER, Node
from tests.stage.waiting import wait_until

MEBI = 2**20
LIMIT = 2 * MEBI
LINE = 100


@pytest.fixture(scope="module")
def node(troupe: Troupe) -> Node:
    node = troupe.node(troupe.collaboration())
    node.values["jobs"] = {"maxLogBytes": LIMIT}
    return node.start()


@pytest.mark.contract("§12 algorithm_log")
def test_a_log_is_seen_while_the_algorithm_runs_by_whoever_looks_and_whoever_listens(
    node: Node, researcher: Researcher, behave: str
) -> None:
    heard: list[str] = []
    client = socketio.Client()
    client.on("algorithm_log", lambda piece: heard.append(piece["log"]), namespace="/tasks")
    server = node.collaboration.federation.server
    headers = {"Authorization": f"Bearer {researcher.client.token}"}
    client.connect(f"{server.url}:{server.port}", headers=headers, namespaces=["/tasks"])
    try:
        task = researcher.send(behave, "tell", 20, 0.5)
        task.wait(60, until=lambda each: "telling 3" in (each.run()["log"] or ""))
        run = task.run()
        assert run["status"] == "active"
        assert [line for line in run["log"].splitlines() if line.startswith("telling")][:4] == told(4)
        assert task.wait().result() == 20
        assert [line for line in task.run()["log"].splitlines() if line.startswith("telling")] == told(20)
        assert {"telling 3"} <= set("".join(heard).splitlines())
    finally:
        client.disconnect()


def told(lines: int) -> list[str]:
    return [f"telling {number}" for number in range(lines)]


def test_fifty_mebibytes_of_log_arrive_as_head_and_tail_over_the_death_of_the_launcher(
    node: Node, researcher: Researcher, behave: str
) -> None:
    # Kubelet keeps the last 50 MiB: an algorithm that printed them before anybody listened would have no beginning.
    task = researcher.send(behave, "flood", 50 * MEBI, LINE, 10)
    run = task.run()["id"]
    begun = f"test -s /tasks/runs/{run}-*/log/000000000000 && echo there"
    wait_until(
        lambda: "there" in node.kubectl.ask("exec", LAUNCHER, "--", "sh", "-c", begun, namespace=node.namespace),
        60,
        lambda: f"nothing of its log is kept: {task.run()}",
    )
    began = time.monotonic()
    how = node.kill_launcher()
    task.wait(240)
    figures.note("figures", f"50 MiB of log, launcher killed ({how}): delivered {time.monotonic() - began:.0f} s later")
    log = task.run()["log"]
    head, gap, tail = log.partition("\n[... ")
    assert gap, "nothing was left out"
    left_out, _, tail = tail.partition(" bytes left out ...]\n")
    kept = len(head) + len(tail)
    assert abs(kept - LIMIT) < 10, "the whole limit is used"
    numbers = [int(line) for line in (head + "\n" + tail).splitlines() if line.isdecimal() and len(line) == LINE - 1]
    assert len(numbers) == len(set(numbers)), "nothing comes twice"
    assert numbers == sorted(numbers)
    lines = 50 * MEBI // LINE
    assert numbers[0] == 0
    assert numbers[-1] == lines - 1
    figures.note("figures", f"50 MiB of log: {int(left_out) + kept} of {lines * LINE} bytes seen by the launcher")


@pytest.mark.contract("§9 share_algorithm_logs")
def test_a_log_that_is_not_shared_stays_at_the_site(troupe: Troupe, behave: str) -> None:
    node = troupe.node(troupe.collaboration(), share_algorithm_logs=False).start()
    task = node.collaboration.researcher().send(behave, "crash", "patient 42 has no age", 5)
    task.wait(60, until=lambda each: each.statuses() == ["active"])
    assert not task.run()["log"]
    run = task.wait().run()
    assert run["log"].splitlines()[0] == "Node does not allow sharing algorithm logs"
    assert "exit code 1" in run["log"]
    assert "patient" not in run["log"]
    show = ("sh", "-c", f"cat /tasks/logs/{run['id']}-*/0*")
    wait_until(lambda: not node.jobs(), 30, lambda: "its Job is still there")
    wait_until(
        lambda: "patient 42 has no age" in node.kubectl.ask("exec", LAUNCHER, "--", *show, namespace=node.namespace),
        20,
        lambda: "the site does not have it either",
    )
