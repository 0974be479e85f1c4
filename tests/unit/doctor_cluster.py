"""A cluster for the doctor to examine: a stand-in for the API server, which makes Jobs' pods and what they find."""

import json
from pathlib import Path
from typing import Any

from launcher.doctor.probes import CLOSED, FREE, OPEN, PART, SHUT, VOLUME
from tests.unit.apiserver import Threaded

KEY = "11111111-2222-4333-8444-555555555555"
VALUES = f"node: {{server_url: 'https://vantage6.example.org', api_key: {KEY}}}\n"
_ADDRESSES = {OPEN: "10.0.0.1", CLOSED: "10.0.0.2", FREE: "10.0.0.3", SHUT: "10.0.0.4", VOLUME: "10.0.0.5"}
_DEFAULT_CLASS = {"storageclass.kubernetes.io/is-default-class": "true"}


class Examined(Threaded):
    """Well, unless a test says otherwise."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.on_create = self._created
        self.on_delete = self._deleted
        self.enforces = True
        self.stuck: dict[str, Any] = {}
        """The state of a pod's container that never comes further, by part."""
        self.not_admitted: dict[str, str] = {}
        """Why a pod can't be made, by part."""
        self.server: dict[str, Any] = {"status": 200, "version": "4.15.2", "ahead": 0.0, "login": {"status": 200}}
        self.not_allowed: set[str] = set()
        """What SelfSubjectAccessReviews are answered no for, as `verb resource`."""
        self.put(
            "/api/v1/namespaces",
            {"metadata": {"name": "kube-system", "labels": {"kubernetes.io/metadata.name": "kube-system"}}},
        )
        self.put(
            "/api/v1/namespaces/kube-system/pods", {"metadata": {"name": "coredns", "labels": {"k8s-app": "kube-dns"}}}
        )
        self.put("/api/v1/nodes", {"metadata": {"name": "worker"}, "status": {"allocatable": {"cpu": "8"}}})
        self.classes = "/apis/storage.k8s.io/v1/storageclasses"
        self.put(
            self.classes,
            {
                "metadata": {"name": "local-path", "annotations": _DEFAULT_CLASS},
                "provisioner": "rancher.io/local-path",
                "reclaimPolicy": "Delete",
            },
        )
        self.before = set(self.objects)

    @property
    def traces(self) -> list[str]:
        """What is there now and was not before."""
        return sorted(set(self.objects) - self.before)

    def _created(self, _: str, thing: Any) -> None:
        if thing.get("kind") == "SelfSubjectAccessReview":
            asked = thing["spec"]["resourceAttributes"]
            what = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
            thing["status"] = {"allowed": f"{asked['verb']} {what}" not in self.not_allowed}
        elif thing.get("kind") == "Namespace":
            accounts = f"/api/v1/namespaces/{thing['metadata']['name']}/serviceaccounts"
            self.put(accounts, {"metadata": {"name": "default"}})
        elif thing.get("kind") == "Job":
            self._control(thing)

    def _deleted(self, path: str) -> None:
        """With a Job goes its pod."""
        for pod in [each for each in self.objects if "/pods/" in each and "/jobs/" in path]:
            if pod.rsplit("/", 1)[1].rpartition("-")[0] == path.rsplit("/", 1)[1]:
                del self.objects[pod]

    def _control(self, job: Any) -> None:
        """What the controller of Jobs does, and then kubelet."""
        meta, template = job["metadata"], job["spec"]["template"]
        core = f"/api/v1/namespaces/{meta['namespace']}"
        part = meta["labels"][PART]
        if part in self.not_admitted:
            about = {"involvedObject": {"uid": meta["uid"]}, "reason": "FailedCreate"}
            event = {"metadata": {"name": f"{meta['name']}.1"}, "message": f"Error creating: {self.not_admitted[part]}"}
            self.put(f"{core}/events", about | event)
            return
        pod = {"metadata": {**template["metadata"], "name": f"{meta['name']}-abcde"}, "spec": template["spec"]}
        order = json.loads(template["spec"]["containers"][0]["env"][0]["value"])
        state = self.stuck.get(part) or self._outcome(part, order)
        ended = "terminated" in state
        pod["status"] = {
            "phase": "Succeeded" if ended else "Running" if "running" in state else "Pending",
            "podIP": _ADDRESSES.get(part, "10.0.0.9"),
            "containerStatuses": [{"name": "doctor", "state": state}],
        }
        self.put(f"{core}/pods", pod)

    def _outcome(self, part: str, order: Any) -> Any:
        if "listen" in order:
            return {"running": {"startedAt": "2026-11-28T06:00:00Z"}}
        answer: dict[str, Any] = {}
        for name, (host, _, wanted) in (order.get("connect") or {}).items():
            assert host in _ADDRESSES.values()
            through = wanted == "open" or not self.enforces
            last = "connected" if through else "timed out"
            answer.setdefault("connect", {})[name] = {"first": last, "last": last, "seconds": 1.0}
        for name in order.get("look_up") or ():
            answer.setdefault("look_up", {})[name] = {"addresses": ["203.0.113.7"]}
        if "server" in order:
            answer["server"] = self.server if "key" in order else {**self.server, "login": None}
        if "clock" in order:
            answer["clock"] = {"ahead": 0.1}
        if "write" in order:
            answer["write"] = "written"
        return {"terminated": {"exitCode": 0, "message": json.dumps(answer)}}
