"""What the launcher remembers of a run while it works on it."""

from dataclasses import dataclass, field

from launcher.kubeapi import Tree
from launcher.places import Kind
from launcher.progress import Progress
from launcher.runs import Run, ServerState
from launcher.vigil import Vigil


@dataclass
class Entry:
    """What is remembered of a run between two looks at it; all of it can be learnt again."""

    server: ServerState = ServerState.UNKNOWN
    run: Run | None = None
    active_reported: bool = False
    killed: bool = False
    killed_because: str = ""
    vigil: Vigil | None = None
    aside: bool = False
    """Whether it waits in the cluster for so long that it holds none of the node's places."""
    deeper: bool | None = None
    """Whether the task that sent it is a subtask itself; None: not asked yet."""
    sent: bool = False
    """Whether a Job may have been made that was not seen yet."""
    keep_log: bool = False
    failed: bool | None = None
    """Whether it failed; None: this launcher did not have the audit know yet."""
    policy: str | None = None
    noted: str | None = None
    held_back: bool = False
    job: Tree | None = None
    pod: Tree | None = None
    progress: Progress = field(default_factory=Progress)

    @property
    def kind(self) -> Kind | None:
        """Who waits for it; None while that is not known."""
        if self.run is None:
            return None
        if self.run.parent_id is None:
            return Kind.TASK
        return Kind.DEEPER if self.deeper else Kind.SUBTASK
