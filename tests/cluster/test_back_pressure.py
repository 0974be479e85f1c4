"""More runs than a node may execute at a time: on a real cluster, by a limit, by a quota, and by a queue.

Kueue itself is not installed here. What takes its part is a thread of this test that does to a Job what Kueue does when
it admits one: it sets `spec.suspend` to false. That Jobs are made for Kueue is judged by what it goes by: the label and
`suspend`.
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ci.images import Image
from tests import figures
from tests.cluster.troupe import Troupe
from tests.stage import StageError
from tests.stage.claims import fill_claim
from tests.stage.federation import Researcher
from tests.stage.kube import Kubectl
from tests.stage.node import Node
from tests.stage.task import Task
from tests.stage.waiting import wait_until
from tests.stage.watching import Witness

pytestmark = pytest.mark.slow  # several nodes, and bursts

LIMIT = 2
QUEUE = "algorithms"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
QUICK = {"resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "300Mi"}}}


def limited(node: Node, **jobs: Any) -> Node:
    node.values["jobs"] = {**QUICK, **jobs}
    return node.start()


@pytest.fixture(scope="module")
def node(troupe: Troupe) -> Node:
    return limited(troupe.node(troupe.collaboration()), maxConcurrent=LIMIT)


def executing(node: Node, runs: list[int]) -> list[int]:
    """Those of the runs that have a pod whose algorithm has not ended: an end frees the place, its Job stays a while.

    The pods of the node's own checks have no place.
    """
    pods = {pod["metadata"]["labels"].get("v6-node.vantage6.ai/run-id"): pod for pod in node.pods("algorithm")}
    return [run for run in runs if (pod := pods.get(str(run))) and not ended(pod)]


def ended(pod: Any) -> bool:
    """Whether its algorithm has ended, though kubelet calls the pod running for a moment more."""
    return any("terminated" in each["state"] for each in pod["status"].get("containerStatuses", []))


def end(node: Node, task: Task) -> None:
    node.collaboration.federation.root.task.kill(task.id)


def run_ids(tasks: list[Task]) -> list[int]:
    return [task.run()["id"] for task in tasks]


def most_at_once(witness: Witness, runs: list[int]) -> int:
    """The most Jobs of these runs that there were at the same time, by a watch of our own: made and not yet removed."""
    made = [(witness.of_run(run, "Job")[0].at, 1) for run in runs]
    gone = [(witness.of_run(run, "Job", "DELETED")[0].at, -1) for run in runs]
    most = now = 0
    for _, change in sorted(made + gone):
        now += change
        most = max(most, now)
    return most


def test_never_more_than_the_limit_run_and_the_oldest_go_first(
    node: Node, researcher: Researcher, behave: str, kubectl: Kubectl
) -> None:
    with Witness(kubectl.kubeconfig, node.namespace) as witness:
        tasks = [researcher.send(behave, "sleep", 3) for _ in range(8)]
        runs = run_ids(tasks)
        most = 0
        while not all(task.finished() for task in tasks):
            most = max(most, len(executing(node, runs)))
            time.sleep(0.2)
        wait_until(lambda: not node.jobs(), 60, lambda: f"Jobs left: {node.jobs()}")
        order = sorted(runs, key=lambda run: witness.of_run(run, "Job")[0].at)
    assert [task.result() for task in tasks] == [3] * 8
    assert most <= LIMIT
    # Two places that become free together are given to the two oldest, whose Jobs are then made at the same time.
    late = [order.index(run) - sorted(runs).index(run) for run in runs]
    assert max(map(abs, late)) < LIMIT, f"the oldest first, not {order}"


def test_who_waits_is_pending_at_the_server_and_its_log_says_why(
    node: Node, researcher: Researcher, behave: str
) -> None:
    long = [researcher.send(behave, "sleep", 600) for _ in range(LIMIT)]
    waiting = [researcher.send(behave, "sleep", 0) for _ in range(2)]
    try:
        limit = f"This node executes at most {LIMIT} runs at a time (jobs.maxConcurrent)"
        for task, place in zip(waiting, ["this one is the next", "1 is before this one"], strict=True):
            sentence = f"{limit}, and {place}."
            wait_until(
                lambda task=task, sentence=sentence: sentence in (task.run()["log"] or ""),  # type: ignore[misc]
                90,
                lambda task=task: f"its log is {task.run()['log']!r}",  # type: ignore[misc]
            )
            assert task.statuses() == ["pending"]
        assert len(node.jobs()) == LIMIT
        killed = time.monotonic()
        end(node, long[0])
        waiting[0].wait(60)
        figures.note("figures", f"kill of a run -> the next one in line has ended: {time.monotonic() - killed:.1f} s")
    finally:
        for task in long:
            end(node, task)
    assert [task.wait(60).result() for task in waiting] == [0, 0]


def test_a_restarted_launcher_counts_what_runs(node: Node, researcher: Researcher, behave: str) -> None:
    long = [researcher.send(behave, "sleep", 25) for _ in range(LIMIT)]
    for task in long:
        task.wait(60, until=lambda each: each.statuses() == ["active"])
    late = researcher.send(behave, "sleep", 0)
    runs = run_ids([*long, late])
    node.kill_launcher()
    node.wait_online()
    for _ in range(5):
        assert len(executing(node, runs)) <= LIMIT
        time.sleep(1)
    assert [task.wait(120).result() for task in [*long, late]] == [25, 25, 0]


def test_a_run_that_finds_no_machine_does_not_keep_others_from_running(troupe: Troupe, behave: str) -> None:
    """One place, and the first run asks by the site's own template for a machine that there is none of."""
    node = troupe.node(troupe.collaboration())
    template = (
        '{% extends "shipped/job.yaml.j2" %}\n'
        "{% block scheduling %}\n"
        '{% if task.name == "picky" %}\n'
        "      affinity:\n"
        "        nodeAffinity:\n"
        "          requiredDuringSchedulingIgnoredDuringExecution:\n"
        "            nodeSelectorTerms:\n"
        "              - matchExpressions:\n"
        "                  - {key: example.org/nowhere, operator: Exists}\n"
        "{% else %}\n"
        "{{ super() }}\n"
        "{% endif %}\n"
        "{% endblock %}\n"
    )
    limited(node, maxConcurrent=1, templates={"job.yaml.j2": template})
    researcher = node.collaboration.researcher()
    stuck = researcher.send(behave, "picky")
    begun = time.monotonic()
    others = [researcher.send(behave, "sleep", 0) for _ in range(3)]
    assert [task.wait(120).result() for task in others] == [0, 0, 0]
    took = time.monotonic() - begun
    figures.note("figures", f"three runs behind one that finds no machine, one place: ended after {took:.0f} s")
    assert stuck.statuses() == ["pending"]
    end(node, stuck)
    stuck.wait(60)


def test_central_functions_do_not_wait_for_each_others_subtasks(
    troupe: Troupe, images: dict[str, Image], kubectl: Kubectl
) -> None:
    """Two nodes with one place each, and on each a central function that has parts on both."""
    collaboration = troupe.collaboration(2)
    database = {"label": "default", "type": "csv", "claim": "data", "uri": "data.csv"}
    nodes = [troupe.node(collaboration, account, databases=[database]) for account in collaboration.nodes]
    for node in nodes:
        content = {"data.csv": b"age\n1\n3\n"}
        fill_claim(kubectl, node.namespace, "data", images["behave"].ref, files=content)
        node.values["jobs"] = {"maxConcurrent": 1}
        node.install()
    for node in nodes:
        node.wait_online()
    researcher = collaboration.researcher()
    tasks = [
        researcher.send(
            images["average"].ref, "central_average", to=[node.account.organization], column="age",
            databases=["default"],
        )
        for _ in range(2)
        for node in nodes
    ]  # fmt: skip
    assert [task.wait(300).result()["average"] for task in tasks] == [2] * 4


def test_a_burst_passes_without_a_fault(node: Node, researcher: Researcher, behave: str, kubectl: Kubectl) -> None:
    """Forty tasks at once, with two places: each is executed once."""
    with Witness(kubectl.kubeconfig, node.namespace) as witness:
        with ThreadPoolExecutor(10) as crowd:
            tasks = list(crowd.map(lambda _: researcher.send(behave, "tick", "burst"), range(40)))
        assert [task.wait(600).result() for task in tasks] == [{"executions": 1, "run": "burst"}] * 40
        runs = run_ids(tasks)
        wait_until(lambda: not node.jobs(), 60, lambda: f"Jobs left: {node.jobs()}")
        assert all(len(witness.of_run(run, "Pod")) == 1 for run in runs)
        figures.note("figures", f"40 runs, {LIMIT} places: at most {most_at_once(witness, runs)} Jobs at once")


def test_a_quota_bounds_the_algorithms_and_neither_launcher_nor_proxy(troupe: Troupe, behave: str) -> None:
    node = limited(troupe.node(troupe.collaboration()), quota={"pods": 2})
    researcher = node.collaboration.researcher()
    long = [researcher.send(behave, "sleep", 70) for _ in range(2)]
    for task in long:
        task.wait(60, until=lambda each: each.statuses() == ["active"])
    late = researcher.send(behave, "sleep", 0)
    words = "exceeded quota: v6-node-algorithm"
    wait_until(lambda: words in (late.run()["log"] or ""), 60, lambda: f"its log is {late.run()['log']!r}")
    assert late.statuses() == ["pending"]
    quota = node.kubectl.get("resourcequota", "v6-node-algorithm", namespace=node.namespace)
    assert quota["status"]["used"] == {"pods": "2"}
    # With the quota used up, the node's own pods come back.
    node.kubectl("delete", "pod", "--selector", "v6-node.vantage6.ai/role in (launcher, proxy)",
                 "--grace-period=1", namespace=node.namespace)  # fmt: skip
    node.kubectl("rollout", "status", "statefulset/v6-node-launcher", "--timeout=60s", namespace=node.namespace)
    node.kubectl("rollout", "status", "deployment/v6-node-proxy", "--timeout=60s", namespace=node.namespace)
    assert [task.wait(180).result() for task in [*long, late]] == [70, 70, 0]


def job_of(node: Node, task: Task) -> list[Any]:
    """Its run's Job, if there is one; a check of the isolation may have one too."""
    name = f"run-{task.run()['id']}"
    return [job for job in node.jobs() if job["metadata"]["name"] == name]


class Admitting:
    """Stands in for Kueue: lets suspended Jobs of a queue go, when it is told to."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._open = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._admit, daemon=True)

    def __enter__(self) -> "Admitting":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._open.set()
        self._thread.join(30)

    def open(self) -> None:
        self._open.set()

    def _admit(self) -> None:
        self._open.wait()
        while not self._over.is_set():
            for job in self._node.jobs():
                if job["spec"].get("suspend") and job["metadata"]["labels"].get(QUEUE_LABEL) == QUEUE:
                    with contextlib.suppress(StageError):  # it was removed meanwhile
                        resume(self._node, job)
            time.sleep(0.3)


def resume(node: Node, job: dict[str, Any], *, suspend: bool = False) -> None:
    patch = json.dumps({"spec": {"suspend": suspend}})
    name = job["metadata"]["name"]
    node.kubectl("patch", "job", name, "--type=merge", f"--patch={patch}", namespace=node.namespace)


@pytest.fixture(scope="module")
def queued(troupe: Troupe) -> Iterator[tuple[Node, Researcher]]:
    node = troupe.node(troupe.collaboration())
    node.values["admissionPolicy"] = {"enabled": True}
    limited(node, kueue={"queueName": QUEUE})  # online: the check of the isolation waits in no queue
    yield node, node.collaboration.researcher()


def test_a_job_waits_in_its_queue_until_it_is_let_go(queued: tuple[Node, Researcher], behave: str) -> None:
    node, researcher = queued
    with Admitting(node) as kueue:
        task = researcher.send(behave, "tick", "queue")
        wait_until(lambda: bool(job_of(node, task)), 30, lambda: "no Job was made")
        (job,) = job_of(node, task)
        assert job["spec"]["suspend"] is True
        assert job["metadata"]["labels"][QUEUE_LABEL] == QUEUE
        wait_until(lambda: f"the queue {QUEUE}" in (task.run()["log"] or ""), 60, lambda: f"{task.run()['log']!r}")
        assert task.statuses() == ["pending"]
        assert not node.pods("algorithm")
        kueue.open()
        assert task.wait(60).result() == {"executions": 1, "run": "queue"}


def test_a_suspended_job_can_be_killed(queued: tuple[Node, Researcher], behave: str) -> None:
    node, researcher = queued
    task = researcher.send(behave, "sleep", 0)
    wait_until(lambda: bool(job_of(node, task)), 30, lambda: "no Job was made")
    end(node, task)
    assert task.wait(30).run()["status"] == "killed by user"
    wait_until(lambda: not job_of(node, task), 30, lambda: "its Job is left")


def test_a_job_that_is_taken_back_is_not_executed_again(queued: tuple[Node, Researcher], behave: str) -> None:
    node, researcher = queued
    with Admitting(node) as kueue:
        kueue.open()
        task = researcher.send(behave, "sleep", 300)
        task.wait(60, until=lambda each: each.statuses() == ["active"])
    (job,) = job_of(node, task)
    resume(node, job, suspend=True)
    run = task.wait(60).run()
    assert run["status"] == "unknown error"
    assert f"ended by the queue {QUEUE} of this cluster, for others" in run["log"]
    wait_until(lambda: not job_of(node, task), 30, lambda: "its Job is left")
