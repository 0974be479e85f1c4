"""Jobs as a node made them, made again without a node."""

import copy
import json
import textwrap
from typing import Any

from benchmarks.kube import RawApi
from benchmarks.sightings import PREFIX
from tests.stage.kube import Kubectl
from tests.stage.node import LAUNCHER

_OF_THE_JOB_CONTROLLER = (
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
)
_OURS = ("name", "namespace", "labels", "annotations", "ownerReferences")
FOLDER = "raw"


def raw_manifest(seen: dict[str, Any], name: str) -> dict[str, Any]:
    """The manifest of a Job like one that was seen, of another name, with files of its own, and of no run.

    Without a run's label the launcher does not take it for one of its own; the NetworkPolicies hold for it too.
    """
    job = copy.deepcopy(seen)
    metadata = {key: value for key, value in job["metadata"].items() if key in _OURS}
    metadata["name"] = name
    metadata["labels"] = _without_run(metadata.get("labels") or {})
    spec = job["spec"]
    spec.pop("selector", None)
    template = spec["template"]
    labels = template["metadata"].get("labels") or {}
    template["metadata"] = {
        "labels": {key: value for key, value in _without_run(labels).items() if key not in _OF_THE_JOB_CONTROLLER},
        "annotations": template["metadata"].get("annotations") or {},
    }
    for container in template["spec"]["containers"]:
        for mount in container["volumeMounts"]:
            if "subPath" in mount and mount["name"] == "task":
                part = "data" if mount["subPath"].endswith("/data") else "tmp"
                mount["subPath"] = f"{FOLDER}/{name}/{part}"
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _without_run(labels: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key != f"{PREFIX}/run-id"}


class RawJobs:
    """Jobs in a node's namespace that are not the node's.

    Args:
        api: the API server.
        kubectl: reaches the node's task volume.
        namespace: of the node.
        seen: a Job of the node.
    """

    def __init__(self, api: RawApi, kubectl: Kubectl, namespace: str, seen: dict[str, Any]) -> None:
        self._api = api
        self._kubectl = kubectl
        self._namespace = namespace
        self._seen = seen
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"

    def prepare(self, names: list[str], method: str, *arguments: Any) -> None:
        """Write the files that algorithms find: an input that calls `method(*arguments)`, a token, an empty output."""
        wanted = json.dumps({"method": method, "args": list(arguments), "kwargs": {}})
        self._python(f"""
            import os, pathlib
            os.umask(0o007)
            for name in {names!r}:
                folder = pathlib.Path("/tasks/{FOLDER}") / name
                (folder / "tmp").mkdir(parents=True)
                (folder / "data").mkdir()
                for file, text in {{"input": {wanted!r}, "token": "none", "output": ""}}.items():
                    (folder / "data" / file).write_text(text)
        """)

    def clear(self) -> None:
        """Remove the files again."""
        self._python(f"import shutil; shutil.rmtree('/tasks/{FOLDER}', ignore_errors=True)")

    async def create(self, name: str) -> None:
        """Create a Job."""
        await self._api.call("POST", self._jobs, raw_manifest(self._seen, name))

    async def delete(self, name: str) -> None:
        """Delete a Job as the node does, with its pod."""
        await self._api.call("DELETE", f"{self._jobs}/{name}", {"propagationPolicy": "Foreground"})

    async def delete_pod(self, name: str) -> None:
        """Delete the pod of a Job."""
        pods = f"/api/v1/namespaces/{self._namespace}/pods"
        answer = await self._api.call("GET", pods, query={"labelSelector": f"batch.kubernetes.io/job-name={name}"})
        for pod in answer["items"]:
            await self._api.call("DELETE", f"{pods}/{pod['metadata']['name']}")

    def _python(self, code: str) -> None:
        program = textwrap.dedent(code)
        self._kubectl("exec", "-i", LAUNCHER, "--", "python", "-", namespace=self._namespace, stdin=program)
