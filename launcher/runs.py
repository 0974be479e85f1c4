"""Runs, and the pure decision what to do next with one.

The server says which runs are open, the cluster says which Jobs exist, the task volume says what was
begun. `decide` maps these three to the next step; everything that acts on it is elsewhere.
"""

from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum, auto
from typing import Any

from vantage6.common.task_status import TaskStatus as RunStatus

PREFIX = "v6-node.vantage6.ai"
"""Of every label and annotation that is this node's own."""

__all__ = [
    "PREFIX",
    "Cause",
    "JobState",
    "Outcome",
    "Receipt",
    "RequestedDatabase",
    "Run",
    "RunStatus",
    "ServerState",
    "Step",
    "decide",
]


@dataclass(frozen=True, slots=True)
class RequestedDatabase:
    """A database that a task asked for: its label and what the researcher gave with it (query, sheet_name, ...)."""

    label: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One organization's share of a task, as the server describes it (without its input)."""

    id: int
    task_id: int
    job_id: int
    parent_id: int | None
    image: str
    task_name: str
    organization_id: int
    collaboration_id: int
    init_organization_id: int
    init_user_id: int | None
    databases: tuple[RequestedDatabase, ...]
    assigned_at: str
    # Where the protocol has such: the container's arguments, and a directory of the task volume that outlives the run.
    arguments: tuple[str, ...] = ()
    output_directory: str | None = None
    blob_storage_used: bool = False
    """Whether input and result are in the server's blob store, and the run has only their ids."""
    store_id: int | None = None
    """The algorithm store that the image was chosen from, if it was."""

    @property
    def name(self) -> str:
        """The name of the run's Job: creating it twice is a conflict."""
        return f"run-{self.id}"


class Cause(StrEnum):
    """Why a run ended as it did, in one of a few words: for the metrics, which can't have sentences."""

    NONE = "none"
    ADMISSION = "admission"  # the cluster does not admit its pod
    CONTAINER = "container"  # its container can't be made
    DEADLINE = "deadline"
    DISRUPTION = "disruption"  # its machine was lost, drained, or needed for something else
    EVICTION = "eviction"  # it, or its machine, ran short of something
    EXIT_CODE = "exit code"
    IMAGE = "image"  # it can't be had, or not be started
    INPUT = "input"  # it can't be read
    KILLED = "killed"
    MANIFEST = "manifest"  # no Job could be made of it
    MEMORY = "memory"
    NETWORK = "network"  # its machine can't set up its network
    NOT_TAKEN = "not taken"  # the server refused its result
    OUTPUT = "output"  # it can't be read
    PLACE = "place"  # no machine may run it
    POLICY = "policy"
    ROOM = "room"  # no machine, or no quota, has room for it
    VANISHED = "vanished"  # its Job was removed by somebody else
    VOLUME = "volume"  # one that it needs is not available


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: its vantage6 status, and where useful a sentence the researcher can act on.

    `detail` is for the node's own log: the words of Kubernetes that the sentence was made of.
    """

    status: RunStatus
    sentence: str = ""
    detail: str = ""
    cause: Cause = Cause.NONE

    @property
    def failed(self) -> bool:
        """Whether vantage6 counts the run as failed."""
        return self.status is not RunStatus.COMPLETED

    def with_more(self, sentence: str) -> "Outcome":
        """The same with another sentence after its own."""
        return replace(self, sentence=f"{self.sentence} {sentence}".strip())


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the server has of an ended run; sizes in bytes, None where an earlier launcher handed it over."""

    end: Outcome
    result_bytes: int | None
    log_bytes: int | None
    whole: bool = True
    """Whether the server took it as it was, log included."""


class ServerState(Enum):
    """What is known of a run's state at the server."""

    OPEN = auto()
    CLOSED = auto()  # finished, or the server does not know it
    UNKNOWN = auto()  # not asked yet, or not in the last list of open runs


class JobState(Enum):
    """What the cluster has of a run."""

    NONE = auto()
    PENDING = auto()
    RUNNING = auto()
    FINISHED = auto()
    DELETING = auto()
    FOREIGN = auto()  # the name is taken by another server's, node's or time's run


class Step(Enum):
    """The next step for a run."""

    START = auto()
    QUEUE = auto()  # for a place, which it has to have before it starts
    WAIT = auto()
    REPORT_ACTIVE = auto()
    DELIVER = auto()
    REPORT_VANISHED = auto()
    REPORT_KILLED = auto()
    REPORT_FOREIGN = auto()
    ASK_SERVER = auto()
    DELETE_JOB = auto()
    REMOVE_FILES = auto()
    FORGET = auto()


def decide(  # noqa: PLR0911  a table
    server: ServerState,
    job: JobState,
    *,
    launched: bool,
    files: bool,
    active_reported: bool,
    killed: bool,
    place: bool,
    kept: bool = False,
) -> Step:
    """Choose the next step for a run.

    Args:
        server: what the server says of the run.
        job: what the cluster has of it.
        launched: whether the task volume records that the run's Job was created.
        files: whether the run has a directory on the task volume.
        active_reported: whether the server was told that the algorithm runs.
        killed: whether the server ordered the run to be killed.
        place: whether the run was given one of the node's places for algorithms.
        kept: whether what an ended run left is to stay a while, for somebody to look at.
    """
    match server, job:
        case _, JobState.FOREIGN:
            return Step.REPORT_FOREIGN
        # The algorithm first, whether or not the server can be told now.
        case _, JobState.PENDING | JobState.RUNNING if killed:
            return Step.DELETE_JOB
        case ServerState.OPEN, _ if killed:
            return Step.REPORT_KILLED
        case _, JobState.DELETING:
            return Step.WAIT
        case ServerState.UNKNOWN, _:
            return Step.ASK_SERVER
        case ServerState.CLOSED, JobState.NONE:
            return Step.REMOVE_FILES if files else Step.FORGET
        case ServerState.CLOSED, JobState.FINISHED if kept:
            return Step.WAIT
        case ServerState.CLOSED, _:
            return Step.DELETE_JOB
        case _, JobState.NONE:
            # A Job that was there and is not any more has run, wholly or in part: never run it twice.
            if launched:
                return Step.REPORT_VANISHED
            return Step.START if place else Step.QUEUE
        case _, JobState.RUNNING if not active_reported:
            return Step.REPORT_ACTIVE
        case _, JobState.FINISHED:
            return Step.DELIVER
    return Step.WAIT
