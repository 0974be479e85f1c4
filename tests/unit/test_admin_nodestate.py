"""The state of a node, from its objects and its launcher's words, and how it looks."""

import io
import json
from typing import Any

from rich.console import Console

from launcher.admin import screen
from launcher.admin.nodestate import Found, runs, state
from launcher.admin.progress import Seen
from tests.unit.node_objects import CONFIG, LAUNCHER, ONLINE, PROXY, STATEFULSET, event, job, run_pod, told

RUNNING = {"running": {"startedAt": "2026-11-28T06:11:00Z"}}
NOW = 1795845610 + 7200


def found(told: Any = ONLINE, **more: Any) -> Found:
    return Found(Seen(STATEFULSET, [LAUNCHER, PROXY], (), told), CONFIG, **more)


def shown(state: dict[str, Any]) -> str:
    text = io.StringIO()
    Console(file=text, width=200, emoji=False).print(screen.node(state, NOW))
    return text.getvalue()


def test_a_node_that_is_online():
    now = state("v6-node", found())
    assert json.loads(json.dumps(now)) == now
    assert (now["online"], now["reason"], now["node_id"]) == (True, "", 4)
    assert now["server"] == "https://vantage6.example.org:443/api"
    assert now["isolation"]["passed"] and now["isolation"]["ways"] == 2
    assert now["databases"] == [
        {"label": "default", "type": "csv", "readable": True, "trouble": ""},
        {"label": "registry", "type": "sql", "readable": None, "trouble": ""},
    ]
    text = shown(now)
    assert "online for 2 h" in text and "holds (checked 2 h ago, 2 ways tried)" in text and "No runs." in text


def test_a_database_that_cannot_be_read_says_why():
    finding = {"label": "default", "trouble": "ENOENT: there is nothing at its path", "columns": None}
    now = state("v6-node", found({**ONLINE, "databases": [finding]}))
    assert now["databases"][0]["readable"] is False
    assert "ENOENT" in shown(now)


def test_a_node_whose_isolation_does_not_hold():
    broken = {"open": False, "passed": False, "reason": "Algorithms reach what they must not"}
    now = state("v6-node", found(told(connection={"online": False, "reason": "x"}, isolation=broken)))
    text = shown(now)
    assert "offline: the isolation of algorithms is checked" in text
    assert "does not hold" in text and "Algorithms reach what they must not." in text


def test_a_node_whose_isolation_can_not_be_checked_does_not_say_that_it_does_not_hold():
    unchecked = {"open": False, "passed": False, "unknown": True, "reason": "No machine has room for the check."}
    now = state("v6-node", found(told(connection={"online": False, "reason": "x"}, isolation=unchecked)))
    assert now["isolation"]["passed"] is None
    text = shown(now)
    assert "can't be checked" in text and "does not hold" not in text and "No machine has room" in text


def test_what_may_not_be_read_is_said_and_the_rest_is_shown():
    unread = {"the launcher's own status": "programs may not be run", "jobs": "jobs is forbidden"}
    text = shown(state("v6-node", found(None, unread=unread)))
    assert "jobs can't be read: jobs is forbidden" in text
    assert "not known yet" in text and "the launcher starts" in text


def test_no_node_is_said():
    assert "There is no node in namespace x" in shown(state("x", Found(Seen(None))))


def test_runs_are_in_order_with_why_they_wait_or_how_they_ended():
    words = 'pods "run-12-x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
    quota = event(job(12), "FailedCreate", f"Error creating: {words}")
    jobs = [job(12), job(3, ready=1), job(11), {"metadata": {"name": "no-run"}, "spec": {}}]
    pods = [
        run_pod(3, RUNNING),
        run_pod(11, {"terminated": {"exitCode": 3, "reason": "Error"}}),
    ]
    rows = runs(jobs, pods, [quota])
    assert [(row["run"], row["state"], row["outcome"]) for row in rows] == [
        (3, "running", None),
        (11, "finished", "crashed"),
        (12, "waiting", None),
    ]
    assert rows[0]["since"] == "2026-11-28T06:11:00Z"
    assert "exit code 3" in rows[1]["reason"]
    assert "quota" in rows[2]["reason"]
    text = shown(state("v6-node", found(jobs=jobs, job_pods=pods)))
    assert "registry.example.org/average:1" in text


def test_what_others_named_is_no_markup():
    named = job(3)
    named["spec"]["template"]["spec"]["containers"][0]["image"] = "a/[bold]b[/bold]:1"
    text = shown(state("v6-node", found(jobs=[named], job_pods=[run_pod(3, RUNNING)])))
    assert "a/[bold]b[/bold]:1" in text


def test_the_list_has_a_line_for_each_node():
    text = io.StringIO()
    states = [state("north", found()), state("south", Found(Seen(STATEFULSET, [])))]
    Console(file=text, width=200).print(screen.nodes(states, NOW))
    lines = text.getvalue().splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["north", "online"], ["south", "offline"]]
