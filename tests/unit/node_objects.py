"""A node's objects as the API server shows them, shortened to what anybody looks at."""

import copy
import json
from typing import Any

Tree = dict[str, Any]

LABELS = {
    "app.kubernetes.io/name": "v6-node",
    "app.kubernetes.io/instance": "v6-node",
    "app.kubernetes.io/version": "0.1.0",
}
STATEFULSET: Tree = {
    "metadata": {
        "name": "v6-node-launcher",
        "namespace": "v6-node",
        "uid": "11d0f3f6-0000-4000-8000-000000000001",
        "generation": 1,
        "labels": {**LABELS, "app.kubernetes.io/component": "launcher"},
    },
    "spec": {
        "template": {
            "spec": {"volumes": [{"name": "config"}, {"name": "secrets", "secret": {"secretName": "v6-node-key"}}]}
        }
    },
    "status": {"observedGeneration": 1, "updateRevision": "v6-node-launcher-6d4cf56db6", "replicas": 1},
}
LAUNCHER: Tree = {
    "metadata": {
        "name": "v6-node-launcher-0",
        "namespace": "v6-node",
        "uid": "11d0f3f6-0000-4000-8000-000000000002",
        "labels": {
            **LABELS,
            "app.kubernetes.io/component": "launcher",
            "controller-revision-hash": "v6-node-launcher-6d4cf56db6",
            "v6-node.vantage6.ai/role": "launcher",
        },
    },
    "spec": {"containers": [{"name": "launcher", "image": "ghcr.io/vantage6/v6-node:0.1.0"}]},
    "status": {
        "phase": "Running",
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [
            {"name": "launcher", "ready": True, "state": {"running": {"startedAt": "2026-11-28T06:00:00Z"}}}
        ],
    },
}
PROXY: Tree = {
    "metadata": {
        "name": "v6-node-proxy-7c9d8f-x2x4z",
        "namespace": "v6-node",
        "uid": "11d0f3f6-0000-4000-8000-000000000003",
        "labels": {**LABELS, "app.kubernetes.io/component": "proxy"},
    },
    "spec": {"containers": [{"name": "proxy", "image": "ghcr.io/vantage6/v6-node:0.1.0"}]},
    "status": {"phase": "Running", "containerStatuses": [{"name": "proxy", "state": {"running": {}}}]},
}
ONLINE: Tree = {
    "readyz": "ready\n",
    "identity": {"node_id": 4, "organization_id": 2, "collaboration_id": 3},
    "connection": {"online": True, "reason": "", "since": 1795845610, "key_tried": 1795845601.5, "key_refused": ""},
    "isolation": {
        "passed": True,
        "open": True,
        "reason": "",
        "checked_at": "2026-11-28T06:00:05+00:00",
        "accepted": [],
        "untried": ["internet-ipv4"],
        "waived": [],
        "rows": [{"name": "proxy", "observed": "answered"}, {"name": "lookup", "observed": "unresolved"}],
    },
    "databases": [{"label": "default", "trouble": "", "columns": ["age"]}],
}
CONFIG: Tree = {
    "metadata": {"name": "v6-node-config", "namespace": "v6-node"},
    "data": {
        "node.yaml": "node:\n  server_url: https://vantage6.example.org\n  port: 443\n  api_path: /api\n"
        "  databases: [{label: default, type: csv}, {label: registry, type: sql}]\n"
    },
}


def told(**routes: Any) -> Tree:
    """What the launcher of an online node answers, but for some routes."""
    return {**ONLINE, **{name: {**ONLINE[name], **value} for name, value in routes.items()}}


def waiting(pod: Tree, reason: str, message: str = "", last: Tree | None = None) -> Tree:
    """A pod whose container does not run."""
    pod = copy.deepcopy(pod)
    (status,) = pod["status"]["containerStatuses"]
    status |= {"ready": False, "state": {"waiting": {"reason": reason, "message": message}}}
    if last:
        status["lastState"] = {"terminated": last}
    return pod


def ended(*lines: Tree | str) -> Tree:
    """How a container ended whose log ends with these lines."""
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return {"exitCode": 1, "reason": "Error", "message": text}


def unscheduled(pod: Tree, message: str) -> Tree:
    pod = copy.deepcopy(pod)
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    pod["status"] = {"phase": "Pending", "conditions": [condition]}
    return pod


def event(thing: Tree, reason: str, message: str, *, at: str = "2026-11-28T06:00:10Z", kind: str = "Warning") -> Tree:
    """An Event of Kubernetes on an object; those of the launcher itself have no uid of theirs."""
    about = {"name": thing["metadata"]["name"], "uid": thing["metadata"].get("uid")}
    meta = {"name": f"{thing['metadata']['name']}.{reason.lower()}.{at[-6:]}", "creationTimestamp": at}
    return {
        "metadata": meta,
        "involvedObject": about,
        "type": kind,
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
    }


def job(run: int, **status: Any) -> Tree:
    labels = {"v6-node.vantage6.ai/run-id": str(run), "v6-node.vantage6.ai/task-id": "7"}
    meta = {"name": f"run-{run}", "uid": f"job-{run}", "labels": labels, "creationTimestamp": "2026-11-28T06:10:00Z"}
    container = {"name": "algorithm", "image": "registry.example.org/average:1"}
    return {"metadata": meta, "spec": {"template": {"spec": {"containers": [container]}}}, "status": status}


def run_pod(run: int, state: Tree) -> Tree:
    labels = {"v6-node.vantage6.ai/run-id": str(run)}
    meta = {"name": f"run-{run}-abcde", "uid": f"pod-{run}", "labels": labels}
    return {
        "metadata": meta,
        "spec": {"containers": [{"name": "algorithm", "image": "registry.example.org/average:1"}]},
        "status": {"phase": "Pending", "containerStatuses": [{"name": "algorithm", "state": state}]},
    }
