"""What is known of a node, as one tree: from the objects in the cluster and the launcher's own words. No I/O here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from launcher.admin.progress import Seen, Told, launcher, step
from launcher.diagnosis import job_state, outcome
from launcher.kubeapi import Tree
from launcher.runs import PREFIX, JobState
from launcher.troubles import last_warning
from launcher.waiting import CONTAINER, Trouble, waiting

RUN_ID, TASK_ID = f"{PREFIX}/run-id", f"{PREFIX}/task-id"


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was read of a node."""

    seen: Seen
    config: Tree | None = None
    """The ConfigMap with the launcher's configuration."""
    jobs: Sequence[Tree] = ()
    job_pods: Sequence[Tree] = ()
    """The pods of runs."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """What could not be read, and why."""


def state(namespace: str, found: Found) -> dict[str, Any]:
    """The node's state: what `status --json` prints."""
    seen = found.seen
    now = step(seen)
    told: Told = seen.told or {}
    connection = told.get("connection") or {}
    config = _config(found.config)
    pod = launcher(seen)
    return {
        "namespace": namespace,
        "release": _label(seen.statefulset, "app.kubernetes.io/instance"),
        "version": _label(seen.statefulset, "app.kubernetes.io/version"),
        "image": next(
            (each["image"] for each in (pod or {}).get("spec", {}).get("containers", ()) if each["name"] == "launcher"),
            None,
        ),
        "server": _server(config),
        "node_id": (told.get("identity") or {}).get("node_id"),
        "online": now.online,
        "since": connection.get("since"),
        "phase": now.phase,
        "reason": now.trouble.sentence if now.trouble else "",
        "isolation": _isolation(told.get("isolation") or {}),
        "databases": _databases(config, told.get("databases") or ()),
        "runs": runs(found.jobs, found.job_pods, seen.events),
        "unread": dict(found.unread),
    }


def _label(thing: Tree | None, name: str) -> str | None:
    value: str | None = ((thing or {}).get("metadata", {}).get("labels") or {}).get(name)
    return value


def _config(configmap: Tree | None) -> dict[str, Any]:
    try:
        read = yaml.safe_load((configmap or {}).get("data", {}).get("node.yaml", ""))
    except yaml.YAMLError:
        return {}
    return read if isinstance(read, dict) else {}


def _server(config: Mapping[str, Any]) -> str | None:
    node = config.get("node") or {}
    if "server_url" not in node:
        return None
    port = f":{node['port']}" if node.get("port") is not None else ""
    return f"{node['server_url']}{port}{node.get('api_path', '/api')}"


def _isolation(told: Mapping[str, Any]) -> dict[str, Any]:
    rows = told.get("rows") or ()
    return {
        "checked_at": told.get("checked_at"),
        "passed": None if told.get("unknown") else told.get("passed"),
        "reason": told.get("reason", ""),
        "ways": len(rows),
        **{key: list(told.get(key) or ()) for key in ("accepted", "untried", "waived")},
    }


def _databases(config: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    troubles = {finding.get("label"): finding.get("trouble", "") for finding in findings}
    databases = (config.get("node") or {}).get("databases") or ()
    return [
        {
            "label": each["label"],
            "type": each["type"],
            "readable": not troubles[each["label"]] if each["label"] in troubles else None,
            "trouble": troubles.get(each["label"], ""),
        }
        for each in databases
    ]


_WORDS = {
    JobState.PENDING: "waiting",
    JobState.RUNNING: "running",
    JobState.FINISHED: "finished",
    JobState.DELETING: "being removed",
}


def runs(jobs: Sequence[Tree], pods: Sequence[Tree], events: Sequence[Tree]) -> list[dict[str, Any]]:
    """The runs that have a Job, by number: how each fares, and since when."""
    by_run = {_label(pod, RUN_ID): pod for pod in pods}
    rows = []
    for job in jobs:
        number = _label(job, RUN_ID)
        if number is None:
            continue
        pod = by_run.get(number)
        now = job_state(job, pod)
        ended = outcome(job, pod)
        held = waiting(job, pod, _last_warning(events, job, pod)) if now is JobState.PENDING else None
        rows.append(
            {
                "run": int(number),
                "task": int(_label(job, TASK_ID) or 0),
                "image": _image(job),
                "state": _WORDS.get(now, now.name.lower()),
                "outcome": ended.status.value if ended else None,
                "reason": ended.sentence if ended and ended.sentence else held.sentence if held else "",
                "since": _since(job, pod),
            }
        )
    return sorted(rows, key=lambda row: int(row["run"]))


def _last_warning(events: Sequence[Tree], job: Tree, pod: Tree | None) -> Trouble | None:
    uids = {thing["metadata"].get("uid") for thing in (job, pod) if thing}
    warnings = [
        event
        for event in events
        if event.get("type") == "Warning" and (event.get("involvedObject") or {}).get("uid") in uids
    ]
    return last_warning(warnings)


def _image(job: Tree) -> str:
    containers = job["spec"]["template"]["spec"]["containers"]
    return next((str(each["image"]) for each in containers if each["name"] == CONTAINER), "")


def _since(job: Tree, pod: Tree | None) -> str | None:
    """When the algorithm began or, before that, when its Job was made."""
    for status in (pod or {}).get("status", {}).get("containerStatuses") or ():
        if status["name"] == CONTAINER:
            running = (status.get("state") or {}).get("running") or {}
            if running.get("startedAt"):
                return str(running["startedAt"])
    made = job["metadata"].get("creationTimestamp")
    return str(made) if made else None
