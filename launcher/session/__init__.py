"""What the node needs of a server, whatever protocol it speaks; one module here per protocol."""

from dataclasses import dataclass
from typing import Protocol

from launcher.runs import Outcome, Run


class ServerUnavailable(Exception):  # noqa: N818  a condition that passes, not a fault
    """The server can't be reached, or answers that it can't serve now: try again later."""


class ServerRefusal(Exception):  # noqa: N818
    """The server understood and said no; asking again won't help."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"the server answered {status}: {message}")
        self.status = status
        self.message = message


class InputUnreadable(Exception):  # noqa: N818
    """A run's input can't be decrypted, or is too large; the message is a sentence for the researcher."""


class LoginRefused(Exception):  # noqa: N818
    """The server does not accept the node's API key."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is at the server."""

    server: str
    node_id: int
    name: str
    organization_id: int
    collaboration_id: int


class Listener(Protocol):
    """Who is told what the server says; the calls only take note."""

    def open_runs(self, runs: list[Run]) -> None:
        """All open runs of this node, after every (re)connection and now and then."""

    def new_runs(self, runs: list[Run]) -> None:
        """The open runs of a new task."""

    def killed(self, run_ids: list[int] | None) -> None:
        """Runs that must end, or None for all of this node's."""


class Session(Protocol):
    """A server, as the reconciler sees it.

    Every method raises `ServerUnavailable` when it should be tried again later, and `ServerRefusal`
    where it says no.
    """

    identity: Identity

    @property
    def online(self) -> bool:
        """Whether the server sees this node online."""

    async def open(self) -> None:
        """Learn who this node is.

        Raises:
            LoginRefused: the server does not accept it.
        """

    async def stay_connected(self, listener: Listener) -> None:
        """Be online until cancelled, and tell the listener what the server says."""

    async def find(self, run_id: int) -> Run | None:
        """The run, or None if it is finished, unknown to the server or not this node's."""

    async def take(self, run: Run) -> bytes | None:
        """Say that this node works on the run; returns its input, or None if it is finished already.

        Raises:
            InputUnreadable: it can't be decrypted.
        """

    async def algorithm_token(self, run: Run) -> str:
        """The token with which the run's algorithm may call the server."""

    async def report_active(self, run: Run) -> None:
        """Say that the algorithm runs."""

    async def show_log(self, run: Run, text: str) -> bool:
        """Add to the run's log while it is not finished; returns whether the server has it. Nothing is raised."""

    async def deliver(self, run: Run, outcome: Outcome, result: bytes, log: str) -> None:
        """Hand over the result; returns once the server has it, or says that the run was closed already."""

    async def is_subtask(self, task_id: int) -> bool:
        """Whether an algorithm sent the task, and no researcher."""

    async def organization_name(self, organization_id: int) -> str:
        """The name of an organization of the collaboration."""

    async def store_url(self, store_id: int) -> str:
        """The address of an algorithm store."""

    async def store_confirms(self, url: str, image: str) -> bool:
        """Whether an algorithm store lists an image; `ServerUnavailable` if it does not answer."""
