"""What a scraper gets of a node, who else does not, and what is kept of what failed.

Judged from other pods, and by the API server.
"""

import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ci.images import Image
from launcher.progress import TIMED
from tests.cluster.troupe import Troupe
from tests.stage.federation import Researcher
from tests.stage.kube import Kubectl
from tests.stage.node import LAUNCHER, Node
from tests.stage.stagehand import Stagehand
from tests.stage.waiting import wait_until

METRICS, STATUS, ALGORITHMS = 8082, 8081, 8080
AGES = [34.5, 61.0, 78.25, 50.0]
_GET = """
import json, sys, urllib.error, urllib.request
try:
    with urllib.request.urlopen(sys.argv[1], timeout=5) as answer:
        print(json.dumps([answer.status, answer.read().decode()]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, ""]))
except OSError as error:
    print(json.dumps([0, repr(error)]))
"""
Samples = dict[tuple[str, ...], float]


@pytest.fixture(scope="module")
def node(troupe: Troupe, stagehand: Stagehand) -> Node:
    path = stagehand.table("metrics/ages.csv", {"age": AGES})
    database = {"label": "default", "type": "csv", "uri": path, "nodeName": stagehand.machine}
    node = troupe.node(troupe.collaboration(), databases=[database])
    node.values["retention"] = {"failedHours": 1}
    node.values["monitoring"] = {
        "scraper": {
            "namespaceSelector": {"kubernetes.io/metadata.name": stagehand.namespace},
            "podSelector": {"example.org/part": "scraper"},
        },
        "dashboard": {"enabled": True},
    }
    return node.start()


@pytest.fixture(scope="module")
def pods(kubectl: Kubectl, stagehand: Stagehand, node: Node, behave: str) -> dict[str, str]:
    """A scraper, a pod beside it that is none, and one in the node's own namespace: names with their namespaces."""
    places = {"scraper": stagehand.namespace, "bystander": stagehand.namespace, "insider": node.namespace}
    for part, namespace in places.items():
        kubectl.apply(_pod(part, behave), namespace=namespace)
    for part, namespace in places.items():
        kubectl("wait", "--for=condition=Ready", f"pod/{part}", "--timeout=60s", namespace=namespace)
    return places


def _pod(part: str, image: str) -> dict[str, Any]:
    container = {
        "name": part,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "3600"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
    labels = {"example.org/part": part}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": part, "labels": labels}, "spec": spec}


class Scraper:
    """Asks launcher and proxy from a pod."""

    def __init__(self, kubectl: Kubectl, node: Node, places: dict[str, str]) -> None:
        self._kubectl, self._node, self._places = kubectl, node, places

    def get(self, part: str, role: str, port: int, path: str = "/metrics") -> tuple[int, str]:
        """Status and text of an answer; status 0 if there is no way."""
        (pod,) = self._node.pods(role)
        address = pod["status"]["podIP"]
        url = f"http://[{address}]:{port}{path}" if ":" in address else f"http://{address}:{port}{path}"
        said = self._kubectl("exec", part, "--", "python", "-c", _GET, url, namespace=self._places[part])
        status, text = json.loads(said)
        return status, text

    def samples(self, role: str) -> Samples:
        status, text = self.get("scraper", role, METRICS)
        assert status == 200, text
        return {
            (sample.name, *(f"{key}={value}" for key, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


@pytest.fixture(scope="module")
def scraper(kubectl: Kubectl, node: Node, pods: dict[str, str]) -> Scraper:
    return Scraper(kubectl, node, pods)


@pytest.mark.parametrize("role", ["launcher", "proxy"])
def test_the_scraper_gets_metrics_and_reaches_no_other_port(scraper: Scraper, role: str) -> None:
    status, text = scraper.get("scraper", role, METRICS)
    assert status == 200
    assert "# HELP v6_node_" in text
    assert scraper.get("scraper", role, METRICS, "/isolation")[0] == 404
    for port in (STATUS, ALGORITHMS):
        assert scraper.get("scraper", role, port, "/healthz")[0] == 0, port


@pytest.mark.parametrize("role", ["launcher", "proxy"])
@pytest.mark.parametrize("part", ["bystander", "insider"])
def test_nobody_else_reaches_them(scraper: Scraper, part: str, role: str) -> None:
    assert scraper.get(part, role, METRICS)[0] == 0


def test_a_node_that_is_online_says_so(scraper: Scraper) -> None:
    found = scraper.samples("launcher")
    for name in ("v6_node_online", "v6_node_isolation_passed", "v6_node_isolation_gate_open"):
        assert found[(name,)] == 1, name
    assert found[("v6_node_connections_total",)] >= 1
    assert found[("v6_node_isolation_checks_total", "result=passed")] >= 1
    assert 0 < found[("v6_node_task_volume_free_bytes",)] <= found[("v6_node_task_volume_size_bytes",)]
    assert found[("v6_node_task_volume_short",)] == 0


def test_counters_move_with_a_task_and_its_subtask(
    scraper: Scraper, node: Node, images: dict[str, Image], researcher: Researcher
) -> None:
    before = {role: scraper.samples(role) for role in ("launcher", "proxy")}
    task = researcher.send(images["average"].ref, "central_average", column="age", databases=["default"])
    assert task.wait(120).result()["average"] == pytest.approx(sum(AGES) / len(AGES))
    wait_until(lambda: not node.jobs(), 30, lambda: f"Jobs left: {node.jobs()}")

    def moved(role: str, *key: str) -> float:
        return scraper.samples(role).get(key, 0.0) - before[role].get(key, 0.0)

    stages = {stage: ("v6_node_run_stage_seconds_count", f"stage={stage}") for stage in TIMED}
    wait_until(
        lambda: all(moved("launcher", *key) == 2 for key in stages.values()),
        30,
        lambda: str({stage: moved("launcher", *key) for stage, key in stages.items()}),
    )
    assert moved("launcher", "v6_node_runs_delivered_total", "cause=none", "status=completed") == 2
    assert moved("launcher", "v6_node_kubernetes_requests_total", "status=201", "verb=create") >= 2
    assert moved("launcher", "v6_node_kubernetes_requests_total", "status=200", "verb=delete") >= 2
    assert moved("proxy", "v6_node_proxy_requests_total", "route=create task", "status=201") == 1
    assert moved("proxy", "v6_node_proxy_sent_bytes_total") > 0
    assert moved("proxy", "v6_node_proxy_received_bytes_total") > 0
    found = scraper.samples("launcher")
    assert found[("v6_node_undelivered_runs",)] == found[("v6_node_undelivered_oldest_age_seconds",)] == 0


def test_a_run_is_seen_while_it_runs(scraper: Scraper, researcher: Researcher, behave: str) -> None:
    task = researcher.send(behave, "sleep", 15)
    running = ("v6_node_runs", "state=running")
    wait_until(lambda: scraper.samples("launcher")[running] == 1, 60, lambda: str(scraper.samples("launcher")))
    task.wait()
    wait_until(lambda: scraper.samples("launcher")[running] == 0, 30, lambda: str(scraper.samples("launcher")))


def test_a_failed_run_is_counted_by_its_cause_and_kept_for_a_look(
    scraper: Scraper, node: Node, kubectl: Kubectl, researcher: Researcher, behave: str
) -> None:
    run = researcher.send(behave, "crash", "the cohort is empty").wait().run()
    assert run["status"] == "crashed"
    key = ("v6_node_runs_delivered_total", "cause=exit code", "status=crashed")
    wait_until(lambda: scraper.samples("launcher").get(key) == 1, 30, lambda: str(scraper.samples("launcher")))
    chosen = f"v6-node.vantage6.ai/run-id={run['id']}"

    def phases() -> list[str]:
        return [pod["status"]["phase"] for pod in kubectl.get("pods", namespace=node.namespace, selector=chosen)]

    wait_until(lambda: phases() == ["Failed"], 30, lambda: f"its pods are {phases()}")  # kubelet says so a moment later
    (pod,) = kubectl.get("pods", namespace=node.namespace, selector=chosen)
    assert "the cohort is empty" in kubectl("logs", pod["metadata"]["name"], namespace=node.namespace)
    code = f"import pathlib; print(*(p.name for p in pathlib.Path('/tasks/runs').glob('{run['id']}-*/data/*')))"
    files = kubectl("exec", LAUNCHER, "--", "python", "-c", code, namespace=node.namespace).split()
    assert sorted(files) == ["input", "output"], "without the token"
    node.kill_launcher()
    node.wait_online()
    assert researcher.send(behave, "sleep", 0).wait().result() == 0

    def jobs() -> list[str]:
        return [job["metadata"]["name"] for job in node.jobs()]

    wait_until(lambda: jobs() == [f"run-{run['id']}"], 30, lambda: f"kept over a restart, and alone: {jobs()}")


def test_the_dashboard_is_there_for_grafana(node: Node, kubectl: Kubectl) -> None:
    (found,) = kubectl.get("configmaps", namespace=node.namespace, selector="grafana_dashboard=1")
    assert json.loads(found["data"]["v6-node.json"])["title"] == "vantage6 node"


def test_a_run_waits_for_room_on_the_task_volume_and_says_so(
    scraper: Scraper, node: Node, kubectl: Kubectl, researcher: Researcher, behave: str
) -> None:
    node.values["taskVolume"] = {**node.values["taskVolume"], "minFreeBytes": 2**60}
    node.install()
    kubectl("rollout", "status", "statefulset/v6-node-launcher", "--timeout=120s", namespace=node.namespace)
    node.wait_online()
    task = researcher.send(behave, "tick", "room")
    wait_until(lambda: "is nearly full" in (task.run()["log"] or ""), 60, lambda: str(task.run()))
    assert task.statuses() == ["pending"]
    wait_until(
        lambda: not node.jobs(), 30, lambda: f"what was kept of the failed run does not make room: {node.jobs()}"
    )
    assert scraper.samples("launcher")[("v6_node_task_volume_short",)] == 1
    reasons = {each["reason"] for each in kubectl.get("events", namespace=node.namespace)}
    assert "TaskVolumeFull" in reasons
    del node.values["taskVolume"]["minFreeBytes"]
    node.install()
    assert task.wait(120).result() == {"executions": 1, "run": "room"}
