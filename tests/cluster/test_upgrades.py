"""What becomes of runs when the chart is upgraded, rolled back, or upgraded to what can't work.

The judges are the API server (which pods there are, and since when), a recording proxy before the real server (what it
was told, how often), the runs as the researcher's client shows them, and the marks of the algorithm.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from ci.cluster import Cluster
from tests.cluster.observed import Observed, active, observed
from tests.cluster.troupe import Troupe
from tests.stage import StageError
from tests.stage.node import RELEASE
from tests.stage.task import Task
from tests.stage.waiting import wait_until

CHANGED = """\
{% extends "shipped/job.yaml.j2" %}
{% block scheduling %}
{{ super() }}
      topologySpreadConstraints:
        - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway}
{% endblock %}
"""
BROKEN = CHANGED.replace("maxSkew: 1", "maxSkew: {{ profile.skwe }}")


@pytest.fixture(scope="module")
def scene(troupe: Troupe, cluster: Cluster, behave: str) -> Iterator[Observed]:
    with observed(troupe, cluster.host_address, behave) as scene:
        scene.node.start()
        yield scene


def upgrade(scene: Observed, **changes: Any) -> None:
    """`helm upgrade`; returns when the objects are changed, whatever becomes of the pods."""
    before = scene.node.values
    try:
        scene.node.values = {**before, **changes}
        scene.node.install()
    finally:
        scene.node.values = before


def roll_back(scene: Observed) -> None:
    """`helm rollback` to the revision before; returns likewise."""
    scene.node.kubectl.helm("rollback", RELEASE, namespace=scene.node.namespace)


def launcher(scene: Observed) -> str:
    (pod,) = scene.node.pods("launcher")
    return str(pod["metadata"]["uid"])


def wait_for_another_launcher(scene: Observed, than: str) -> None:
    def there() -> bool:
        return [pod["metadata"]["uid"] != than for pod in scene.node.pods("launcher")] == [True]

    wait_until(there, 60, lambda: f"the launcher's pod is not another than {than}")


def runs_still(scene: Observed, task: Task) -> bool:
    """Whether the very first pod of a task's run is there and runs, and there never was another."""
    (seen,) = scene.witness.of_run(task.run()["id"], "Pod")
    phases = {pod["metadata"]["uid"]: pod["status"]["phase"] for pod in scene.node.pods("algorithm")}
    return phases.get(seen.uid) == "Running"


def is_spread(scene: Observed, task: Task) -> bool:
    """Whether a run's Job is as the changed template makes it."""
    job = scene.node.kubectl.get("job", f"run-{task.run()['id']}", namespace=scene.node.namespace)
    return "topologySpreadConstraints" in job["spec"]["template"]["spec"]


def test_runs_go_on_over_an_upgrade_and_a_rollback_and_only_new_ones_have_the_new_template(scene: Observed) -> None:
    long, short = active(scene.hold("long")), active(scene.send("short", 4))  # one ends while there is no launcher
    first = launcher(scene)
    node = scene.node.values["node"] | {"logging": {"level": "DEBUG"}}
    upgrade(scene, node=node, jobs={"templates": {"job.yaml.j2": CHANGED}})
    during = scene.hold("during")
    wait_for_another_launcher(scene, first)
    active(during)
    assert [runs_still(scene, task) for task in (long, during)] == [True, True]
    assert [is_spread(scene, task) for task in (long, during)] == [False, True]

    second = launcher(scene)
    roll_back(scene)
    late = scene.hold("late")
    wait_for_another_launcher(scene, second)
    active(late)
    assert [runs_still(scene, task) for task in (long, during, late)] == [True, True, True]
    assert [is_spread(scene, task) for task in (long, during, late)] == [False, True, False]
    scene.let_go("long", "during", "late")
    scene.judge(short, long, during, late)


def test_values_that_can_not_be_are_refused_and_nothing_changes(scene: Observed) -> None:
    task, before = active(scene.hold("refused")), launcher(scene)
    with pytest.raises(StageError, match=r"jobs\.defaultProfile.*nowhere"):
        upgrade(scene, jobs={"defaultProfile": "nowhere"})
    assert launcher(scene) == before
    assert scene.node.status() == "online"
    assert runs_still(scene, task)
    scene.let_go("refused")
    scene.judge(task)


def test_a_broken_template_takes_the_node_offline_and_says_why_while_runs_go_on(scene: Observed) -> None:
    task, before = active(scene.hold("broken")), launcher(scene)
    upgrade(scene, jobs={"templates": {"job.yaml.j2": BROKEN}})
    wait_for_another_launcher(scene, before)
    wait_until(lambda: "skwe" in last_words(scene), 60, lambda: f"the launcher's pod says {last_words(scene)!r}")
    assert "job.yaml.j2, line 5" in last_words(scene)
    assert scene.node.status() == "offline"
    assert runs_still(scene, task)
    roll_back(scene)
    scene.node.wait_online()
    assert runs_still(scene, task)
    scene.let_go("broken")
    scene.judge(task)


def last_words(scene: Observed) -> str:
    """What `kubectl describe pod` shows of how the launcher ended."""
    (pod,) = scene.node.pods("launcher")
    statuses = pod["status"].get("containerStatuses", [])
    states = [each.get(when) or {} for each in statuses for when in ("lastState", "state")]
    return " ".join((state.get("terminated") or {}).get("message", "") for state in states)


def test_nobody_but_helm_can_have_the_node_leave(scene: Observed) -> None:
    """The proxy reaches the launcher's port, but it can't make the pod of `helm uninstall`."""
    code = (
        "import urllib.request as r, urllib.error as e\n"
        "try: print(r.urlopen(r.Request('http://v6-node-launcher:8081/leave', method='POST'), timeout=20).status)\n"
        "except e.HTTPError as error: print(error.code)"
    )
    proxy = scene.node.pods("proxy")[0]["metadata"]["name"]
    said = scene.node.kubectl("exec", proxy, "--", "python", "-c", code, namespace=scene.node.namespace)
    assert said.strip() == "403"
    scene.judge(scene.send("still"))
