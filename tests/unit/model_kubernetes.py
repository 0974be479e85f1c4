"""Kubernetes, as much of it as a launcher meets: Jobs and pods that are listed, watched, created and deleted."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from launcher.kubeapi import ApiRefusal, ClusterUnavailable, Tree
from launcher.mirror import RUN_ID
from tests.unit.kubelet import SECOND, Kubelet
from tests.unit.model_process import Clock, Process

_DOWN = ClusterUnavailable("the API server is away")
_WATCH_SECONDS = 300.0
_INSTANT = 1e-6  # less can get lost in the clock's last digit, and would be waited for in vain


def _refuse() -> ApiRefusal:
    return ApiRefusal(403, "forbidden")


class Kubernetes:
    """What there is, and what happened to it, in the order in which it happened."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.jobs: dict[int, Tree] = {}
        self.pods: dict[int, Tree] = {}
        self.history: list[tuple[str, str, str]] = []  # kind, type of event, object
        self.made = 0
        self.away_until = 0.0
        self.held: dict[str, float] = {}  # kind: until when its watch is silent
        self.broken: dict[str, str] = {}  # kind: how its watch ends
        self.told: Callable[[], None] = lambda: None

    @property
    def away(self) -> bool:
        return self.clock.now < self.away_until

    def note(self, kind: str, what: str, tree: Tree) -> None:
        tree["metadata"]["resourceVersion"] = str(len(self.history) + 1)
        self.history.append((kind, what, json.dumps(tree)))
        self.told()

    def _named(self, name: str, run_id: int) -> Tree:
        self.made += 1
        return {
            "name": name,
            "uid": f"uid-{self.made}",
            "labels": {RUN_ID: str(run_id)},
            "creationTimestamp": f"{self.made:06}",
        }

    def create(self, run_id: int, annotations: Tree) -> Tree | None:
        if run_id in self.jobs:
            return None
        metadata = {**self._named(f"run-{run_id}", run_id), "annotations": annotations}
        job = self.jobs[run_id] = {"metadata": metadata, "status": {}}
        self.note("jobs", "ADDED", job)
        return job

    def delete(self, run_id: int) -> None:
        job = self.jobs[run_id]
        if not job["metadata"].get("deletionTimestamp"):
            job["metadata"]["deletionTimestamp"] = "now"
            self.note("jobs", "MODIFIED", job)

    def conclude(self, run_id: int, condition: str) -> None:
        """What the Job controller says at the end."""
        job = self.jobs[run_id]
        job["status"] = {"conditions": [{"type": condition, "status": "True", "reason": "BackoffLimitExceeded"}]}
        self.note("jobs", "MODIFIED", job)

    def add_pod(self, run_id: int) -> None:
        self.pods[run_id] = {"metadata": self._named(f"run-{run_id}-x{self.made}", run_id), "status": {}}
        self.note("pods", "ADDED", self.pods[run_id])

    def set_state(self, run_id: int, state: Tree, conditions: list[Tree] | None = None) -> None:
        pod = self.pods[run_id]
        pod["status"] = {"containerStatuses": [{"name": "algorithm", "state": state}], "conditions": conditions or []}
        self.note("pods", "MODIFIED", pod)

    def state(self, run_id: int) -> str:
        """How far a run's Job has come, in a word."""
        job, pod = self.jobs.get(run_id), self.pods.get(run_id)
        if job is None:
            return "none"
        if job["metadata"].get("deletionTimestamp"):
            return "deleting"
        if job["status"]:
            return "concluded"
        if pod is None:
            return "created"
        state = pod["status"].get("containerStatuses", [{"state": {}}])[0]["state"]
        return next(iter(state), "pending")

    def remove(self, kind: str, run_id: int) -> None:
        gone = getattr(self, kind).pop(run_id, None)
        if gone:
            self.note(kind, "DELETED", gone)


class Api:
    """The API server, as one process sees it; has what `launcher.kubeapi.KubeApi` has.

    Args:
        process: who calls.
        kubernetes: who answers.
        creating: asked before a Job is made; may object.
        created: told of each that was made.
        refused: told of each that was not, because it is forbidden.
        deleting: asked before one is deleted.
    """

    def __init__(
        self,
        process: Process,
        kubernetes: Kubernetes,
        *,
        creating: Callable[[int], None],
        created: Callable[[int, Tree], None],
        refused: Callable[[int], None],
        deleting: Callable[[int], None],
    ) -> None:
        self._process, self._kubernetes = process, kubernetes
        self._creating, self._created, self._refused_of = creating, created, refused
        self._deleting = deleting

    async def call(self, method: str, path: str, query: Tree | None = None, body: Tree | None = None) -> Tree:
        kind, _, name = path.partition("/namespaces/x/")[2].partition("/")
        run_id = int(name.removeprefix("run-")) if name else 0
        match method, bool(name):
            case "GET", False:
                return await self._ask("list", lambda: self._list(kind))
            case "GET", True:
                return await self._ask("read", lambda: self._read(run_id))
            case "POST", False:
                assert body is not None
                self._creating(body["run"])
                return await self._ask("create", lambda: self._create(body), lambda: self._refused(body))
            case "DELETE", True:
                assert body is not None
                return await self._ask("delete", lambda: self._delete(run_id, body["preconditions"]["uid"]))
        raise AssertionError(method, path)

    async def _ask(
        self, name: str, effect: Callable[[], str | Exception], refuse: Callable[[], Exception] = _refuse
    ) -> Tree:
        answer = await self._process.call(name, effect, _DOWN, refuse)
        if isinstance(answer, Exception):
            raise answer
        return dict(json.loads(answer))

    def _list(self, kind: str) -> str:
        items = list(getattr(self._kubernetes, kind).values()) if kind in {"jobs", "pods"} else []
        return json.dumps({"items": items, "metadata": {"resourceVersion": len(self._kubernetes.history)}})

    def _read(self, run_id: int) -> str | Exception:
        job = self._kubernetes.jobs.get(run_id)
        return json.dumps(job) if job else ApiRefusal(404, "not found")

    def _create(self, manifest: Tree) -> str | Exception:
        job = self._kubernetes.create(manifest["run"], manifest["annotations"])
        if job is None:
            return ApiRefusal(409, "already exists")
        self._created(manifest["run"], job)
        return json.dumps(job)

    def _refused(self, manifest: Tree) -> Exception:
        self._refused_of(manifest["run"])
        return _refuse()

    def _delete(self, run_id: int, uid: str) -> str | Exception:
        job = self._kubernetes.jobs.get(run_id)
        if job is None or job["metadata"]["uid"] != uid:
            return ApiRefusal(409 if job else 404, "no such Job")
        self._deleting(run_id)
        self._kubernetes.delete(run_id)
        return "{}"

    async def lines(self, path: str, query: Tree) -> AsyncIterator[bytes]:
        kind, kubernetes, clock = path.rpartition("/")[2], self._kubernetes, self._process.clock
        shown, end = int(query["resourceVersion"]), clock.now + _WATCH_SECONDS
        while end - clock.now > _INSTANT:
            if kubernetes.away:
                raise _DOWN
            if how := kubernetes.broken.pop(kind, ""):
                if how == "gone":
                    yield json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old"}}).encode()
                raise _DOWN
            silent = kubernetes.held.get(kind, 0.0) - clock.now
            if silent > _INSTANT or shown == len(kubernetes.history):
                await self._process.news(silent if silent > _INSTANT else end - clock.now)
                continue
            changed, what, text = kubernetes.history[shown]
            shown += 1
            if changed == kind:
                yield f'{{"type": "{what}", "object": {text}}}'.encode()

    async def chunks(self, path: str, query: Tree) -> AsyncIterator[bytes]:
        number = int(path.rpartition("/pods/run-")[2].partition("-")[0])
        text: Any = await self._process.call("log", lambda: self._log(number, query.get("sinceTime")), _DOWN, _refuse)
        yield text
        if "follow" in query:
            await self._process.news(_WATCH_SECONDS)

    def _log(self, run_id: int, since: str | None) -> bytes:
        printed = [(SECOND, f"run {run_id} speaks".encode())] if run_id in self._kubernetes.pods else []
        return Kubelet(printed).stream(since)
