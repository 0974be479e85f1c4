"""A vantage6 server, a Kubernetes and a task volume; what truly happened there, and what a launcher gets wrong."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.jobmarks import ownership
from launcher.kubeapi import Tree
from launcher.runs import Outcome, Run, RunStatus
from launcher.taskfiles import TaskFiles
from tests.unit.model_kubernetes import Kubernetes
from tests.unit.model_process import Clock, Fate
from tests.unit.test_taskfiles import IDENTITY, RUN

if TYPE_CHECKING:
    from tests.unit.model_launcher import Launcher

SERVER_CALLS = ("open", "find", "take", "token", "active", "deliver", "parent")
CLUSTER_CALLS = ("list", "read", "create", "delete", "log")
_AWAY = 70.0  # seconds


@dataclass
class Record:
    """A run, as the server has it."""

    run: Run
    kind: str
    closed: bool = False
    delivered: tuple[RunStatus, bytes] | None = None


class World:
    """Everything outside of the launcher's process.

    Args:
        folder: the task volume.
        launcher: begins a launcher's process.
    """

    def __init__(self, folder: Path, launcher: Callable[["World"], "Launcher"]) -> None:
        self.folder = folder
        self.files = TaskFiles(folder, IDENTITY)
        self.clock = Clock()
        self.kubernetes = Kubernetes(self.clock)
        self.server: dict[int, Record] = {}
        self.server_away_until = 0.0
        self.gate_open = True
        self.limit: int | None = None
        self.ever_stuck: set[str] = set()
        self.untold: set[int] = set()
        self.has_room = True
        self.keep_failed = 0.0  # seconds
        self.planned: dict[str, list[Fate]] = defaultdict(list)
        self.true_ends: dict[int, set[tuple[RunStatus, bytes]]] = defaultdict(set)
        self.executions: Counter[int] = Counter()
        self.wrong: list[str] = []
        self._graveyard: list[Launcher] = []
        self._jobs_made: dict[int, list[str]] = defaultdict(list)
        self._known_jobs: set[str] = set()
        self._launcher = launcher
        self._begin_process()

    def _begin_process(self) -> None:
        self.process = self._launcher(self)
        self.kubernetes.told = self.process.tell

    def expect(self, condition: object, sentence: str) -> None:
        if not condition:
            self.wrong.append(sentence)

    # Time, and the launcher in it

    def run(self, seconds: float = 0.0) -> None:
        self.clock.until = self.clock.now + seconds
        self.process.run()
        self.clock.now = self.clock.until
        self._known_jobs |= self.process.known_jobs()
        for run_id in self.kubernetes.jobs:
            lost = not self.is_foreign(run_id) and not self.files.exist(run_id)
            self.expect(not lost or self.server[run_id].closed, f"run {run_id} has a Job, but no files")

    def restart(self) -> None:
        self._graveyard.append(self.process)
        self.process.kill()
        self._begin_process()

    def end(self) -> None:
        for process in (*self._graveyard, self.process):
            process.bury()

    @property
    def server_away(self) -> bool:
        return self.clock.now < self.server_away_until

    def fate(self, name: str) -> Fate:
        away = {**dict.fromkeys(SERVER_CALLS, self.server_away), **dict.fromkeys(CLUSTER_CALLS, self.kubernetes.away)}
        if away.get(name):
            return Fate.UNDONE
        fate = self.planned[name].pop(0) if self.planned[name] else Fate.DONE
        if fate is Fate.CUT and name in SERVER_CALLS:
            self.server_away_until = self.clock.now + _AWAY
        elif fate is Fate.CUT:
            self.kubernetes.away_until = self.clock.now + _AWAY
        return fate

    # What the launcher does to the cluster

    def creating(self, run_id: int) -> None:
        self.expect(self.gate_open, f"a Job was sent for run {run_id} while the gate is shut")
        self.expect(run_id in self.process.taken, f"a Job was sent for run {run_id}, which was not taken, or closed")
        self.expect(run_id not in self.process.kills, f"a Job was sent for run {run_id} after it was killed")

    def created(self, run_id: int, job: Tree) -> None:
        known = self._known_jobs & set(self._jobs_made[run_id])
        self.expect(not known, f"run {run_id} got another Job")
        self._jobs_made[run_id].append(job["metadata"]["uid"])
        if self.limit is not None and (kind := self.kind(run_id)):
            self._count(kind, self.limit)

    def kind(self, run_id: int) -> str:
        """What a run is by its ancestors; empty for one that waits for no place."""
        parent = self._parent(run_id)
        if parent is None:
            return "task"
        return "subtask" if self._parent(parent) is None and 100 + parent not in self.untold else ""

    def _parent(self, run_id: int) -> int | None:
        task = self.server[run_id].run.parent_id
        return None if task is None else task - 100

    def _count(self, kind: str, limit: int) -> None:
        jobs, state = self.kubernetes.jobs, self.kubernetes.state
        alike = [number for number in jobs if self.kind(number) == kind and not self.is_foreign(number)]
        alive = [number for number in alike if state(number) in {"created", "pending", "running"}]
        quick = [number for number in alive if jobs[number]["metadata"]["uid"] not in self.ever_stuck]
        self.expect(len(quick) <= limit, f"more than {limit} Jobs of the kind {kind} hold a place: runs {quick}")
        self.expect(len(alive) <= 2 * limit, f"more than twice {limit} Jobs of the kind {kind}: runs {alive}")

    def refused(self, run_id: int) -> None:
        if run_id not in self.kubernetes.jobs or self.is_foreign(run_id):
            self.true_ends[run_id].add((RunStatus.START_FAILED, b""))

    def deleting(self, run_id: int) -> None:
        self.expect(
            self.kubernetes.jobs[run_id]["metadata"]["annotations"] == self._mine(run_id), "a foreign Job was deleted"
        )
        # An earlier process may have noted the kill, and have been killed before the cluster did anything.
        told = any(run_id in process.kills for process in (*self._graveyard, self.process))
        self.expect(told or self.server[run_id].closed, f"the Job of run {run_id} was deleted while the run is open")

    def _mine(self, run_id: int) -> Tree:
        return ownership(IDENTITY, self.server[run_id].run)

    # What happens in the cluster

    def add_foreign_job(self, run_id: int) -> None:
        self.kubernetes.create(run_id, {**self._mine(run_id), "v6-node.vantage6.ai/server": "https://other/api"})

    def is_foreign(self, run_id: int) -> bool:
        job = self.kubernetes.jobs.get(run_id)
        return job is not None and job["metadata"]["annotations"] != self._mine(run_id)

    def delete_by_hand(self, run_id: int) -> None:
        self.kubernetes.delete(run_id)
        self.true_ends[run_id].add((RunStatus.UNKNOWN_ERROR, b""))

    def advance(self, run_id: int, *, exit_code: int = 0, output: str = "good") -> None:
        """What happens next to a run's Job."""
        match self.kubernetes.state(run_id):
            case "deleting":
                self.kubernetes.remove("pods", run_id)
                self.kubernetes.remove("jobs", run_id)
            case "created" if not self.is_foreign(run_id):
                self.kubernetes.add_pod(run_id)
            case "pending":
                self._begin(run_id)
            case "running" if not self.waits_for_others(run_id):
                self._finish(run_id, exit_code, output)
            case "terminated":
                code = self.kubernetes.pods[run_id]["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"]
                self.kubernetes.conclude(run_id, "Failed" if code else "Complete")

    def waits_for_others(self, run_id: int) -> bool:
        """A central function ends only when its subtasks have ended."""
        return any(not record.closed for number, record in self.server.items() if self._parent(number) == run_id)

    def find_no_room(self, run_id: int) -> None:
        """No machine has room for its pod, until it gets on."""
        self.ever_stuck.add(self.kubernetes.jobs[run_id]["metadata"]["uid"])
        message = "0/1 nodes are available: 1 Insufficient cpu."
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        self.kubernetes.set_state(run_id, {}, [condition])

    def _data(self, run_id: int) -> Path:
        return self.files.directory(self.server[run_id].run) / "data"

    def _begin(self, run_id: int) -> None:
        self.executions[run_id] += 1
        self.kubernetes.set_state(run_id, {"running": {}})
        found = self._data(run_id) / "input"
        self.expect(found.exists() and found.read_bytes() == input_of(run_id), f"run {run_id} did not find its input")

    def _finish(self, run_id: int, exit_code: int, output: str) -> None:
        place = self._data(run_id) / "output"
        result = f"result {run_id} of {self.kubernetes.jobs[run_id]['metadata']['uid']}".encode()
        if not place.exists():
            self.expect(False, f"run {run_id} did not find the place of its output")
        elif output == "good":
            place.write_bytes(result)
        else:
            result = b""
            place.unlink()
            if output == "link":
                place.symlink_to("/etc/passwd")
        end = RunStatus.CRASHED if exit_code else RunStatus.COMPLETED if output == "good" else RunStatus.FAILED
        self.true_ends[run_id].add((end, result))
        self.kubernetes.set_state(run_id, {"terminated": {"exitCode": exit_code}})

    def lose_pod(self, run_id: int) -> None:
        """Its machine is gone."""
        if self.kubernetes.state(run_id) != "terminated":
            self.true_ends[run_id].add((RunStatus.UNKNOWN_ERROR, b""))
            self.kubernetes.conclude(run_id, "Failed")
        else:
            # What remains to be seen of a failure.
            crashes = [result for end, result in self.true_ends[run_id] if end is RunStatus.CRASHED]
            self.true_ends[run_id] |= {(RunStatus.UNKNOWN_ERROR, result) for result in crashes}
            self.advance(run_id)
        self.kubernetes.remove("pods", run_id)

    def hold_back(self, run_id: int) -> None:
        """Its container can't be made, which does not heal."""
        self.true_ends[run_id].add((RunStatus.START_FAILED, b""))
        self.kubernetes.set_state(run_id, {"waiting": {"reason": "CreateContainerConfigError", "message": "no"}})

    # What happens at the server

    def add_task(self, kind: str, parent: int | None = None) -> int:
        run_id = len(self.server) + 1
        image = "forbidden" if kind == "forbidden" else "image"
        sender = None if parent is None else 100 + parent
        run = replace(RUN, id=run_id, task_id=100 + run_id, job_id=100 + run_id, image=image, parent_id=sender)
        self.server[run_id] = Record(run, kind)
        if kind == "forbidden":
            self.true_ends[run_id].add((RunStatus.NOT_ALLOWED, b""))
        if kind in {"unreadable", "too large"}:
            self.true_ends[run_id].add((RunStatus.FAILED, b""))
        return run_id

    def open_runs(self, task_id: int | None) -> list[Run]:
        return [
            record.run for record in self.server.values() if not record.closed and task_id in {None, record.run.task_id}
        ]

    def deliver(self, run: Run, end: Outcome, result: bytes, log: str) -> None:
        record = self.server[run.id]
        others = [number for number in self.server if number != run.id and f"run {number} " in log]
        self.expect(not others, f"run {run.id} was delivered with the log of {others}")
        if record.closed:
            return
        killed = self.files.killed(run) is not None
        self.expect(not killed or end.status is RunStatus.KILLED, f"the kill of run {run.id} was forgotten")
        record.closed, record.delivered = True, (end.status, result)
        true = self.true_ends[run.id]
        self.expect(record.delivered in true, f"run {run.id} was delivered as {end} {result!r}; true are {true}")

    def kill(self, run_id: int, *, closes: bool, heard: bool) -> None:
        """A researcher kills a run: the server tells the node, and depending on its kind closes the run itself."""
        self.true_ends[run_id].add((RunStatus.KILLED, b""))
        if heard and self.process.reconciler and not self.process.dead:
            self.process.kills.add(run_id)
            self.process.tell_reconciler("killed", [run_id])
        if closes:
            self.server[run_id].closed = True

    # When trouble is over

    def heal(self) -> None:
        self.planned.clear()
        self.server_away_until = self.kubernetes.away_until = 0.0
        self.kubernetes.held.clear()
        for run_id in self.server:
            if self.is_foreign(run_id):
                self.kubernetes.remove("jobs", run_id)
        if self.process.dead:
            self.restart()
        if not self.gate_open:
            self.set_gate(is_open=True)
        self.keep_failed = 0.0
        self.set_room(has_room=True)
        self.kubernetes.told()

    def set_gate(self, *, is_open: bool) -> None:
        self.gate_open = is_open
        if is_open:
            self.process.tell_reconciler("resume")

    def set_room(self, *, has_room: bool) -> None:
        self.has_room = has_room
        self.process.tell_reconciler("resume")

    def left(self, run_ids: set[int]) -> list[str]:
        """What should not be there any more once these runs have ended."""
        return [
            *(f"run {number} is open" for number in run_ids if not self.server[number].closed),
            *(f"Job of run {number}" for number in run_ids & self.kubernetes.jobs.keys()),
            *(f"files of run {number}" for number in run_ids if self.files.exist(number)),
        ]


def input_of(run_id: int) -> bytes:
    return f"input of run {run_id}".encode()
