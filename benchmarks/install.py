"""helm install until the node is online, and the check of the isolation in it, against a pod and a Job without it."""

import asyncio
import json
import time
from datetime import datetime
from typing import Any

from benchmarks.found import Effort, Found
from benchmarks.goals import Measurement
from benchmarks.percentiles import median
from benchmarks.scene import Scene
from tests.stage import StageError
from tests.stage.node import Node

_SECONDS = 180
_LOOK_EVERY = 0.1
POD, JOB = "bare-pod", "bare-job"


async def measure(scene: Scene, effort: Effort) -> Found:
    """Measure."""
    online: list[float] = []
    gates: list[float] = []
    pods: list[float] = []
    jobs: list[float] = []
    for _ in range(effort.rounds * 2 if effort.rounds > 1 else 1):
        collaboration = await asyncio.to_thread(scene.collaboration)
        node = await asyncio.to_thread(scene.node, collaboration)
        try:
            pods.append(await bare(scene, node.namespace, bare_pod(scene.images["v6-node"].ref), "pods"))
            jobs.append(await bare(scene, node.namespace, bare_job(scene.algorithm), "jobs"))
            online.append(await asyncio.to_thread(install, node))
            gates.append(gate_seconds(await asyncio.to_thread(node.launcher_events)))
        finally:
            await asyncio.to_thread(node.remove)
    return Found(
        [
            Measurement("install", median(online), median([a + b for a, b in zip(pods, jobs, strict=True)])),
            Measurement("gate", median(gates), median(jobs)),
        ],
        {
            "helm install to online, s": online,
            "check of the isolation, s": gates,
            "the launcher's image started as a bare pod, s": pods,
            "one bare Job, s": jobs,
        },
    )


def install(node: Node) -> float:
    """Install, and return the seconds until the server calls the node online."""
    began = time.time()
    node.install()
    while node.status() != "online":
        if time.time() - began > _SECONDS:
            node.wait_online(0)  # which says why not
        time.sleep(_LOOK_EVERY)
    return time.time() - began


def gate_seconds(events: list[dict[str, Any]]) -> float:
    """How long the first check of the isolation took, by what the launcher said.

    Raises:
        StageError: it did not pass.
    """
    at = {each["event"]: datetime.fromisoformat(each["time"]).timestamp() for each in reversed(events)}
    try:
        return at["the isolation holds"] - at["checking the isolation"]
    except KeyError as error:
        raise StageError(f"The launcher did not say {error}.") from error


def bare_pod(image: str) -> dict[str, Any]:
    """A pod of the launcher's image that is ready as soon as it runs."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD}, "spec": _spec(image, "sleep", "60")}


def bare_job(image: str) -> dict[str, Any]:
    """A Job that ends at once."""
    spec = {"backoffLimit": 0, "template": {"spec": _spec(image, "true")}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": JOB}, "spec": spec}


def _spec(image: str, *command: str) -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "bare",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": list(command),
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    }


async def bare(scene: Scene, namespace: str, thing: dict[str, Any], kind: str) -> float:
    """Seconds until a pod is ready, or a Job complete, that was created without a node."""
    group = "/api/v1" if kind == "pods" else "/apis/batch/v1"
    wanted = {"pods": "Ready", "jobs": "Complete"}[kind]
    path = f"{group}/namespaces/{namespace}/{kind}"
    name = thing["metadata"]["name"]
    began = time.time()
    await scene.api.call("POST", path, thing)
    query = {"watch": "true", "fieldSelector": f"metadata.name={name}", "timeoutSeconds": _SECONDS}
    async for line in scene.api.lines(path, query):
        at = time.time()
        if has_condition(json.loads(line)["object"], wanted):
            return at - began
    raise StageError(f"{name} was not {wanted} within {_SECONDS} s.")


def has_condition(thing: dict[str, Any], kind: str) -> bool:
    """Whether an object's condition is true."""
    conditions = (thing.get("status") or {}).get("conditions") or ()
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)
