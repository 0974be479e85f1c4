"""Profiles, and the worked overrides of docs/templates.md, on a real cluster under the admission policy."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ci.cluster import Cluster
from tests.cluster.troupe import Troupe
from tests.stage import StageError
from tests.stage.client import made
from tests.stage.federation import Researcher
from tests.stage.kube import Kubectl
from tests.stage.node import Node
from tests.stage.stagehand import Stagehand
from tests.stage.task import Task
from tests.stage.waiting import wait_until
from tests.unit.doc_overrides import INIT, POOL, SIDECAR, values_below

pytestmark = pytest.mark.slow  # several nodes, and a machine that is reserved for a moment

RUNS = {"matchExpressions": [{"key": "v6-node.vantage6.ai/run-id", "operator": "Exists"}]}
SMALL = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
MACHINE = "kubernetes.io/hostname"
ALONE = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": MACHINE, "labelSelector": RUNS}]}
SPREAD = {"maxSkew": 1, "topologyKey": MACHINE, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": RUNS}
JOBS: dict[str, Any] = {
    "resources": SMALL,
    "caps": {"memory": "1Gi"},
    "topologySpreadConstraints": [SPREAD],
    "profiles": {
        "alone": {"affinity": {"podAntiAffinity": ALONE}, "topologySpreadConstraints": []},
        "sandbox": {"template": "sandbox.yaml.j2", "env": {"FLAVOUR": "sandboxed"}},
        "big-memory": {"template": "big-memory.yaml.j2", "resources": {"limits": {"memory": "640Mi"}}},
    },
    "profileRules": [
        {"profile": "alone", "tasks": ["^alone"]},
        {"profile": "big-memory", "tasks": ["^big"]},
        {"profile": "sandbox", "tasks": ["^sandboxed"]},
    ],
}


BROKEN = """\
{% extends "job.yaml.j2" %}
{% block init_containers %}
      initContainers:
        - name: first
          image: {{ profile.extra_images[0] }}
          imagePullPolicy: {{ image.pull_policy }}
          command: [sh, -c, exit 3]
          env: {{ isolation.blank_env }}
          resources: {{ profile.resources }}
          securityContext: {{ isolation.container_security_context }}
          volumeMounts: []
{% endblock %}
"""
"""A template of one profile, whose container before the algorithm fails."""


@pytest.fixture(scope="module")
def node(troupe: Troupe, runtime_class: str, behave: str) -> Node:
    node = troupe.node(troupe.collaboration())
    jobs = node.values["jobs"] = copy.deepcopy(JOBS)
    jobs |= {"extraImages": [behave], "templates": {"broken.yaml.j2": BROKEN}}
    jobs["profiles"]["sandbox"]["runtimeClassName"] = runtime_class
    jobs["profiles"]["broken"] = {"template": "broken.yaml.j2"}
    jobs["profileRules"].append({"profile": "broken", "tasks": ["^broken"]})
    node.values["admissionPolicy"] = {"enabled": True}
    return node.start()


def send(researcher: Researcher, name: str, image: str, method: str, *args: Any) -> Task:
    """A task of a name: what rules go by here."""
    task = researcher.client.task.create(
        organizations=[account.organization.id for account in researcher.collaboration.nodes],
        name=name,
        image=image,
        description="",
        input_={"method": method, "args": list(args), "kwargs": {}},
        collaboration=researcher.collaboration.id,
        databases=[],
    )
    return Task(researcher.client, made(task)["id"])


def job_of(node: Node, task: Task) -> dict[str, Any]:
    """The Job of a task's only run, while there is one."""
    name = f"run-{task.run()['id']}"

    def there() -> bool:
        return name in [job["metadata"]["name"] for job in node.jobs()]

    wait_until(there, 60, lambda: f"there is no Job {name}")
    return dict(node.kubectl.get("job", name, namespace=node.namespace))


def pod_of(node: Node, task: Task) -> str:
    """The name of the pod of a task's only run, which is active."""
    task.wait(until=lambda task: task.run()["status"] == "active")
    selector = f"v6-node.vantage6.ai/run-id={task.run()['id']}"
    (pod,) = node.kubectl.get("pods", namespace=node.namespace, selector=selector)
    return str(pod["metadata"]["name"])


def audited(node: Node, task: Task) -> dict[str, Any]:
    number = task.run()["id"]

    def lines() -> list[dict[str, Any]]:
        events = node.launcher_events()
        return [each for each in events if each["logger"] == "launcher.audit" and each["run"] == number]

    wait_until(lambda: len(lines()) > 0, 10, lambda: f"no audit line for run {number}")
    return lines()[0]


def test_a_run_gets_the_profile_of_its_rule_and_both_job_and_audit_tell(
    node: Node, researcher: Researcher, behave: str, runtime_class: str
) -> None:
    task = send(researcher, "sandboxed trial", behave, "tell", 5, 1)
    job = job_of(node, task)
    assert job["metadata"]["annotations"]["v6-node.vantage6.ai/profile"] == "sandbox"
    assert job["spec"]["template"]["spec"]["runtimeClassName"] == runtime_class
    assert task.wait().run()["status"] == "completed"
    assert audited(node, task)["profile"] == "sandbox"
    names = send(researcher, "sandboxed names", behave, "environment").wait().result()
    assert "FLAVOUR" in names


def test_a_run_that_no_rule_holds_for_gets_none_of_it(node: Node, researcher: Researcher, behave: str) -> None:
    task = send(researcher, "ordinary", behave, "tell", 5, 1)
    job = job_of(node, task)
    assert "v6-node.vantage6.ai/profile" not in job["metadata"]["annotations"]
    pod = job["spec"]["template"]["spec"]
    assert "runtimeClassName" not in pod and "podAntiAffinity" not in pod.get("affinity", {})
    assert pod["topologySpreadConstraints"] == [SPREAD], "what jobs says"
    assert task.wait().run()["status"] == "completed"
    assert audited(node, task)["profile"] is None


def test_memory_is_set_aside(node: Node, researcher: Researcher, behave: str) -> None:
    task = send(researcher, "big matrix", behave, "tell", 5, 1)
    resources = job_of(node, task)["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"] == "640Mi"
    assert task.wait().run()["status"] == "completed"


def test_who_has_to_be_alone_waits_for_the_one_before_and_says_why(
    node: Node, researcher: Researcher, behave: str
) -> None:
    """The task volume keeps all runs on one machine, where anti-affinity has them go one by one."""
    first = send(researcher, "alone one", behave, "sleep", 45)  # a reason is told after 30 s
    pod_of(node, first)
    second = send(researcher, "alone two", behave, "sleep", 0)
    pod = job_of(node, second)["spec"]["template"]["spec"]
    assert pod["affinity"]["podAntiAffinity"] == ALONE and "topologySpreadConstraints" not in pod
    says = "No machine has room for the algorithm now: "
    wait_until(lambda: says in str(second.run()["log"]), 60, lambda: f"the log is {second.run()['log']!r}")
    assert "didn't match pod anti-affinity rules" in second.run()["log"]
    assert second.statuses() == ["pending"]
    assert [task.wait().result() for task in (first, second)] == [45, 0]
    # Whom somebody else's anti-affinity kept away may be looked at again after five minutes only, as the run of the
    # next test would be (https://github.com/kubernetes/kubernetes/issues/134393).
    wait_until(lambda: not node.pods("algorithm"), 30, lambda: "their pods are still there")


def test_a_container_of_the_site_s_own_that_fails_is_named(researcher: Researcher, behave: str) -> None:
    run = send(researcher, "broken", behave, "sleep", 0).wait().run()
    assert run["status"] == "start failed"
    assert "The container first, which this site runs before algorithms, failed with exit code 3" in run["log"]


def accepted(node: Node, cluster: Cluster, image: str, *arguments: str) -> str:
    """What `render --check` shows of a task's Job, which nobody refuses."""
    command = [sys.executable, "-m", "launcher", "render", "--helm", str(node.kubectl.programs / "helm")]
    command += ["-f", str(node.values_file), "-n", node.namespace, "--image", image, "--check", *arguments]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "rules: the Job keeps all.",
        "server: the API server accepts the Job.",
        "server: the API server accepts its pod.",
    ]
    return done.stdout


def test_the_api_server_accepts_what_render_shows(node: Node, cluster: Cluster, behave: str) -> None:
    for arguments in (["--name", "alone"], ["--name", "sandboxed"], ["--name", "big"], []):
        accepted(node, cluster, behave, *arguments)


def test_a_class_that_the_cluster_does_not_have_is_refused_by_name(node: Node) -> None:
    before = copy.deepcopy(node.values)
    node.values["jobs"]["profiles"]["sandbox"]["runtimeClassName"] = "no-such-runtime"
    node.values["jobs"]["priorityClassName"] = "no-such-priority"
    try:
        with pytest.raises(StageError) as caught:
            node.install()
    finally:
        node.values = before
    for key, kind in {
        'jobs.profiles.sandbox.runtimeClassName "no-such-runtime"': "RuntimeClass",
        'jobs.priorityClassName "no-such-priority"': "PriorityClass",
    }.items():
        assert f"{key} is no {kind} of this cluster, which has " in str(caught.value)


@pytest.mark.parametrize(
    ("cap", "profile", "says"),
    [
        ({"memory": "4Gi"}, {"resources": {"limits": {"memory": "5Gi"}}}, r"limits.memory: \"5Gi\" is not allowed"),
        ({"devices": 2}, {"gpu": {"resource": "a.org/b", "count": 3}}, r"limits[\"a.org/b\"]: 3 is not allowed"),
    ],
)
def test_a_launcher_does_not_start_with_a_profile_above_the_cap(
    troupe: Troupe, cap: dict[str, Any], profile: dict[str, Any], says: str
) -> None:
    node = troupe.node(troupe.collaboration())
    node.values["jobs"] = {"caps": cap, "profiles": {"a": profile}}
    node.install()

    def said() -> str:
        try:
            return node.launcher_log() + node.launcher_log(previous=True)
        except StageError as error:
            return str(error)

    whole = f"jobs.profiles.a: spec.template.spec.containers[0].resources.{says}"
    wait_until(lambda: whole in said(), 60, said)


def started(troupe: Troupe, override: dict[str, Any], behave: str, **replaced: str) -> Node:
    """A node with a worked override of the page; texts of it are replaced by what this cluster has."""
    text = json.dumps(override)
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    node = troupe.node(troupe.collaboration())
    node.values["jobs"] = {"resources": SMALL, **json.loads(text)["jobs"]}
    node.values["admissionPolicy"] = {"enabled": True}
    return node.start()


def test_the_sidecar_passes_on_the_log_file(troupe: Troupe, behave: str) -> None:
    node = started(troupe, values_below(SIDECAR), behave, **{"docker.io/library/busybox:1.37": behave})
    task = send(node.collaboration.researcher(), "logging", behave, "fill", "/log/algorithm.log", 40, 12)
    pod = pod_of(node, task)

    def passed_on() -> str:
        return node.kubectl.ask("logs", pod, "-c", "logs", namespace=node.namespace)

    wait_until(lambda: passed_on() == "x" * 40, 20, lambda: f"it says {passed_on()!r}")
    assert task.wait(60).result() == 40, "the run ends with the algorithm"
    mounted = send(node.collaboration.researcher(), "looking", behave, "environment").wait().result()
    assert "LOG_FILE" in mounted


def test_the_init_container_lays_down_what_algorithms_read_and_can_t_change(troupe: Troupe, behave: str) -> None:
    images = {"registry.example.org/reference-data:2026": behave, "/data/.": "/etc/os-release"}
    node = started(troupe, values_below(INIT), behave, **images)
    researcher = node.collaboration.researcher()
    assert "VERSION_ID" in send(researcher, "a", behave, "use", "/mnt/reference/os-release").wait().result()
    written = send(researcher, "b", behave, "write", ["/mnt/reference/os-release"]).wait().result()
    assert written == {"/mnt/reference/os-release": "EROFS"}


@pytest.fixture
def reserved(kubectl: Kubectl, stagehand: Stagehand) -> Iterator[None]:
    """The machine is for large tasks alone, as the page has it."""
    machine = stagehand.machine
    kubectl("label", "node", machine, "example.org/pool=large", "--overwrite")
    kubectl("taint", "node", machine, "example.org/pool=large:NoSchedule", "--overwrite")
    yield
    kubectl("taint", "node", machine, "example.org/pool=large:NoSchedule-")
    kubectl("label", "node", machine, "example.org/pool-")


@pytest.fixture
def pool(troupe: Troupe, behave: str) -> Node:
    """Online before the machine is reserved: its own pods do without the pool."""
    override = values_below(POOL)
    override["jobs"]["profiles"]["large"]["resources"] = SMALL
    return started(troupe, override, behave)


def test_the_pool_s_machines_are_for_large_tasks(
    pool: Node, reserved: None, kubectl: Kubectl, stagehand: Stagehand, behave: str
) -> None:
    researcher = pool.collaboration.researcher()
    if len(kubectl.get("nodes")) == 1:
        other = send(researcher, "small", behave, "sleep", 0)
        wait_until(
            lambda: "untolerated taint" in str(other.run()["log"]), 60, lambda: f"the log is {other.run()['log']!r}"
        )
    large = send(researcher, "large matrix", behave, "tell", 8, 1)
    name = pod_of(pool, large)
    assert kubectl.get("pod", name, namespace=pool.namespace)["spec"]["nodeName"] == stagehand.machine
    assert large.wait().run()["status"] == "completed"


def test_the_command_needs_nothing_but_the_launcher_s_pod(node: Node) -> None:
    """There is no helm in it: it goes by the launcher's own configuration."""
    arguments = ("exec", "v6-node-launcher-0", "--", "python", "-m", "launcher", "render")
    shown = node.kubectl(*arguments, "--config", "/etc/v6-node/node.yaml", "--name", "alone", namespace=node.namespace)
    assert "podAntiAffinity" in shown
