"""What the two witnesses saw, put in order: pure, but for reading their files."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.calls import ASK, TELL, Call

PREFIX = "v6-node.vantage6.ai"
CONTAINER = "algorithm"
_JOB_OF_POD = "batch.kubernetes.io/job-name"
# A socket.io event inside an engine.io message: 42, the namespace, the acknowledgement's number, a JSON array.
_EVENT = re.compile(r"42(?:/[^,\[]*,)?(\d*)(\[.*\])", re.DOTALL)


@dataclass
class SeenJob:
    """A Job and its pod: when each thing about them was seen first, in seconds since 1970."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    grace: float = 0.0
    created: float | None = None
    scheduled: float | None = None
    running: float | None = None
    finished: float | None = None
    """The container has ended, or the Job has."""
    pod_gone: float | None = None
    gone: float | None = None

    @property
    def run_id(self) -> int | None:
        """The run that it executes, if it is a run's."""
        number = self.labels.get(f"{PREFIX}/run-id")
        return int(number) if number else None

    @property
    def task_id(self) -> int | None:
        """The run's task."""
        number = self.labels.get(f"{PREFIX}/task-id")
        return int(number) if number else None


class SeenInCluster:
    """The Jobs of a namespace, by name."""

    def __init__(self) -> None:
        self.jobs: dict[str, SeenJob] = {}
        self.pattern: dict[str, Any] = {}
        """The first Job of a run, whole: there may be thousands, and they are all alike."""
        self._of_task: dict[int, SeenJob] = {}

    def take(self, lines: Iterable[dict[str, Any]]) -> None:
        """Take note of what the witness of the cluster wrote."""
        for line in lines:
            event = line["event"]
            if event["type"] not in {"ADDED", "MODIFIED", "DELETED"}:
                continue
            note = self._job if line["kind"] == "Job" else self._pod
            note(line["at"], event["type"], event["object"])

    def of_run(self, run_id: int) -> SeenJob | None:
        """The Job of a run, if one was seen."""
        return self.jobs.get(f"run-{run_id}")

    def of_task(self, task_id: int) -> SeenJob | None:
        """The first Job of a task, if one was seen."""
        return self._of_task.get(task_id)

    def _of_name(self, name: str) -> SeenJob:
        return self.jobs.setdefault(name, SeenJob(name))

    def _job(self, at: float, kind: str, job: dict[str, Any]) -> None:
        seen = self._of_name(job["metadata"]["name"])
        if seen.created is None:
            seen.created = at
            seen.labels = dict(job["metadata"].get("labels") or {})
            if (task := seen.task_id) is not None and seen.run_id is not None:
                self._of_task.setdefault(task, seen)
                self.pattern = self.pattern or job
        if kind == "DELETED":
            seen.gone = seen.gone or at
        ended = {"Complete", "Failed"}
        for condition in job.get("status", {}).get("conditions") or ():
            if condition["type"] in ended and condition["status"] == "True":
                seen.finished = seen.finished or at

    def _pod(self, at: float, kind: str, pod: dict[str, Any]) -> None:
        name = (pod["metadata"].get("labels") or {}).get(_JOB_OF_POD)
        if name is None:
            return
        seen = self._of_name(name)
        seen.grace = float(pod["spec"].get("terminationGracePeriodSeconds") or 0)
        if kind == "DELETED":
            seen.pod_gone = seen.pod_gone or at
        if pod["spec"].get("nodeName"):
            seen.scheduled = seen.scheduled or at
        for status in pod.get("status", {}).get("containerStatuses") or ():
            if status["name"] == CONTAINER and "running" in status["state"]:
                seen.running = seen.running or at
            if status["name"] == CONTAINER and "terminated" in status["state"]:
                seen.finished = seen.finished or at


class SeenAtServer:
    """What a node and its server said to each other."""

    def __init__(self) -> None:
        self.exchanges = 0
        """How many calls there were, of whatever kind."""
        self.told: dict[int, float] = {}
        """When the node was told of a task, by its id."""
        self._of_run: dict[int, list[Call]] = {}
        self._of_task: dict[int, list[Call]] = {}
        self._deliveries: dict[int, Call] = {}
        self._reports: dict[int, Call] = {}

    def take(self, lines: Iterable[dict[str, Any]]) -> None:
        """Take note of what the witness of the server wrote."""
        for line in lines:
            if line["kind"] == "exchange":
                self._call(Call(**{key: value for key, value in line.items() if key != "kind"}))
            elif found := _EVENT.fullmatch(line["text"]):
                note = self._heard if line["of_server"] else self._said
                note(line["at"], found[1], *json.loads(found[2]))

    def _call(self, call: Call) -> None:
        self.exchanges += 1
        if (run := call.run_id) is not None:
            self._of_run.setdefault(run, []).append(call)
            if call.delivers:
                self._deliveries.setdefault(run, call)
            if call.reports:
                self._reports.setdefault(run, call)
        elif (task := call.task_id) is not None:
            self._of_task.setdefault(task, []).append(call)

    def _heard(self, at: float, _: str, name: str, told: Any = None) -> None:
        if name == "new_task":
            self.told.setdefault(int(told["id"] if isinstance(told, dict) else told), at)

    def _said(self, at: float, answer_wanted: str, name: str, said: Any = None) -> None:
        if isinstance(said, dict) and "run_id" in said:
            call = Call(at, 0.0, ASK if answer_wanted else TELL, name, "", said, 0)
            self._of_run.setdefault(int(said["run_id"]), []).append(call)

    def of_run(self, run_id: int, task_id: int) -> list[Call]:
        """The calls that were about a run, in the order in which they came."""
        calls = [*self._of_run.get(run_id, ()), *self._of_task.get(task_id, ())]
        return sorted(calls, key=lambda call: call.at)

    def report(self, run_id: int) -> Call | None:
        """The call by which the server heard of a run's end, whether or not it knew already."""
        return self._reports.get(run_id)

    def delivery(self, run_id: int) -> Call | None:
        """The call with which the server had a run's result."""
        return self._deliveries.get(run_id)
