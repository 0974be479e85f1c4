"""What takes the place away from an algorithm that runs: a pod that is more important, a machine that is lost."""

import json
import secrets
from datetime import UTC, datetime
from typing import Any

from tests.stage.kube import Kubectl
from tests.stage.node import Node
from tests.stage.task import Task
from tests.stage.waiting import wait_until


class Disruptions:
    """Brings them about, and removes what they took.

    Args:
        kubectl: the cluster.
        image: of a pod that needs a place.
    """

    def __init__(self, kubectl: Kubectl, image: str) -> None:
        self._kubectl = kubectl
        self._image = image
        self._name = f"v6-disruption-{secrets.token_hex(3)}"

    def preempt(self, node: Node, task: Task) -> Task:
        """Have a pod of higher priority want the machine for itself, once the task's algorithm runs there."""
        task.wait(60, until=lambda each: each.statuses() == ["active"])
        important = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": self._name}}
        self._kubectl.apply({**important, "value": 1000})
        selector = {"matchLabels": {"v6-node.vantage6.ai/run-id": str(task.run()["id"])}}
        self._kubectl.apply(self._pod(selector), namespace=node.namespace)
        return task

    def _pod(self, avoided: dict[str, Any]) -> dict[str, Any]:
        term = {"labelSelector": avoided, "topologyKey": "kubernetes.io/hostname"}
        container = {
            "name": "it",
            "image": self._image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", "1"],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        spec = {
            "priorityClassName": self._name,
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        }
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "important"}, "spec": spec}

    def lose_machine(self, node: Node, task: Task) -> Task:
        """Have the algorithm run on a machine that is then no more.

        The machine is none but to the API server: its kubelet's part, to say that the algorithm runs, is played here.
        """
        namespace, selector = node.namespace, f"v6-node.vantage6.ai/run-id={task.run()['id']}"
        pods = lambda: self._kubectl.get("pods", namespace=namespace, selector=selector)  # noqa: E731
        wait_until(lambda: bool(pods()), 60, lambda: "its pod was not made")
        name = pods()[0]["metadata"]["name"]
        self._kubectl.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": self._name}})
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}}
        target = {"apiVersion": "v1", "kind": "Node", "name": self._name}
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/binding"
        self._kubectl("create", "--raw", path, "--filename=-", stdin=json.dumps({**binding, "target": target}))
        running = json.dumps({"status": _running()})
        self._kubectl("patch", "pod", name, "--subresource=status", f"--patch={running}", namespace=namespace)
        task.wait(60, until=lambda each: each.statuses() == ["active"])
        self._kubectl("delete", "node", self._name)
        return task

    def end(self) -> None:
        """Remove what belongs to no namespace."""
        for kind in ("priorityclass", "node"):
            self._kubectl("delete", kind, self._name, "--ignore-not-found")


def _running() -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    container = {"name": "algorithm", "image": "", "imageID": "", "ready": True, "restartCount": 0, "started": True}
    status = {"phase": "Running", "startTime": now}
    return {**status, "containerStatuses": [{**container, "state": {"running": {"startedAt": now}}}]}
