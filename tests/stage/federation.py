"""Organizations, collaborations, nodes and researchers on a vantage6 server, made and used with the real client.

federation = Federation(server)
north, south = federation.organization("Hospital North"), federation.organization("Hospital South")
study = federation.collaboration("Study", [north, south])
study.node(north).api_key
task = study.researcher().send(image, "partial_average", to=[north], column="age", databases=["default"])
task.wait().results()
"""

import contextlib
import io
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vantage6.client import UserClient

from tests.stage import StageError
from tests.stage.server import API_PATH, Server

FINISHED = {
    "completed",
    "failed",
    "start failed",
    "non-existing Docker image",
    "crashed",
    "killed by user",
    "not allowed",
}
FINISHED |= {"unknown error"}  # PROTOCOL: vantage6's RunStatus


@dataclass(frozen=True)
class Organization:
    id: int
    name: str


@dataclass(frozen=True)
class NodeAccount:
    """A node as the server knows it: what its configuration needs."""

    id: int
    name: str
    api_key: str
    organization: Organization


class Federation:
    """The administrator's view of one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.root = log_in(server, "root", server.root_password)
        roles = self.root.role.list(per_page=50)["data"]
        self._researcher_role = next(role["id"] for role in roles if role["name"] == "Researcher")

    def organization(self, name: str) -> Organization:
        """Register an organization; names must differ on one server."""
        address = {"address1": "1 Example Street", "address2": "", "zipcode": "0000", "country": "Nowhere"}
        domain = name.lower().replace(" ", "-") + ".example"
        return Organization(_made(self.root.organization.create(name, **address, domain=domain))["id"], name)

    def collaboration(
        self, name: str, organizations: Sequence[Organization], *, encrypted: bool = False
    ) -> "Collaboration":
        """Register a collaboration with an account for the node of each organization."""
        ids = [organization.id for organization in organizations]
        made = _made(self.root.collaboration.create(name, ids, encrypted=encrypted))
        nodes = [self._node(made["id"], f"{name} - {each.name}", each) for each in organizations]
        return Collaboration(self, made["id"], name, nodes)

    def _node(self, collaboration_id: int, name: str, organization: Organization) -> NodeAccount:
        made = _made(self.root.node.create(collaboration_id, organization.id, name))
        return NodeAccount(made["id"], made["name"], made["api_key"], organization)

    def user(self, organization: Organization) -> tuple[str, str]:
        """Create a user with the server's default role Researcher; return name and password."""
        name, password = f"researcher-{secrets.token_hex(4)}", f"{secrets.token_urlsafe(12)}aA1!"
        people = {"firstname": "Test", "lastname": "Researcher", "email": f"{name}@stage.example"}
        _made(
            self.root.user.create(
                name, password=password, organization=organization.id, roles=[self._researcher_role], **people
            )
        )
        return name, password


@dataclass
class Collaboration:
    """A collaboration: its nodes' accounts, and its researchers."""

    federation: Federation
    id: int
    name: str
    nodes: list[NodeAccount]

    def node(self, organization: Organization) -> NodeAccount:
        return next(node for node in self.nodes if node.organization == organization)

    def researcher(self, organization: Organization | None = None) -> "Researcher":
        """Return a new researcher of the organization (default: the first one)."""
        return Researcher(self, *self.federation.user(organization or self.nodes[0].organization))


class Researcher:
    """A person with vantage6's own client, logged in."""

    def __init__(self, collaboration: Collaboration, name: str, password: str) -> None:
        self.collaboration = collaboration
        self.name = name
        self.password = password
        self.client = log_in(collaboration.federation.server, name, password)

    def send(
        self,
        image: str,
        method: str,
        *args: object,
        to: Sequence[Organization] | None = None,
        databases: Sequence[str | dict[str, Any]] = (),
        **kwargs: object,
    ) -> "Task":
        """Create a task that calls `method(*args, **kwargs)` at each organization in `to` (default: all)."""
        receivers = to or [node.organization for node in self.collaboration.nodes]
        made = self.client.task.create(
            organizations=[each.id for each in receivers],
            name=method,
            image=image,
            description="",
            input_={"method": method, "args": list(args), "kwargs": kwargs},
            collaboration=self.collaboration.id,
            databases=[{"label": each} if isinstance(each, str) else dict(each) for each in databases],
        )
        return Task(self.client, _made(made)["id"])

    def node_status(self, node: NodeAccount) -> str:
        """Return `online`, or `offline` (also for a node that never connected, which the server leaves empty)."""
        return str(self.client.node.get(node.id)["status"] or "offline")


class Task:
    """A task that a researcher sent."""

    def __init__(self, client: UserClient, id_: int) -> None:
        self.client = client
        self.id = id_

    def runs(self) -> list[dict[str, Any]]:
        """Return its runs as the client shows them (status, log, times, organization ...), by id."""
        answer = self.client.run.from_task(self.id)
        return sorted(answer["data"], key=lambda run: run["id"])

    def run(self) -> dict[str, Any]:
        """Return its only run."""
        (run,) = self.runs()
        return run

    def statuses(self) -> list[str]:
        return [run["status"] for run in self.runs()]

    def wait(self, seconds: float = 120, until: Callable[["Task"], bool] | None = None) -> "Task":
        """Wait until every run is finished, or until `until(task)`.

        Raises:
            StageError: it took longer than `seconds`; the message says how far the runs were.
        """
        condition = until or Task.finished
        wait_until(lambda: condition(self), seconds, lambda: f"task {self.id} has runs {self._describe()}")
        return self

    def finished(self) -> bool:
        return all(run["finished_at"] and run["status"] in FINISHED for run in self.runs())

    def results(self) -> list[Any]:
        """Return what the runs returned, as Python objects, in the order of their runs.

        Raises:
            StageError: a run did not complete; the message holds its log.
        """
        failed = [run for run in self.runs() if run["status"] != "completed"]
        if failed:
            logs = "\n".join(f"run {run['id']} {run['status']}:\n{run['log']}" for run in failed)
            raise StageError(f"Task {self.id} did not complete.\n{logs}")
        return [json.loads(self.client.result.get(run["id"])) for run in self.runs()]

    def result(self) -> Any:
        """Return what its only run returned."""
        (result,) = self.results()
        return result

    def created(self) -> datetime:
        """Return when the server made it. (Not a run's `assigned_at`: server 4.15 fills in its own start there.)"""
        return moment(self.client.task.get(self.id)["created_at"])

    def children(self) -> list[int]:
        """Return the ids of the tasks that its runs created."""
        answer = self.client.task.list(parent=self.id)
        return sorted(each["id"] for each in answer["data"])

    def _describe(self) -> str:
        return "; ".join(f"{run['id']} {run['status']} (finished_at {run['finished_at']})" for run in self.runs())


def moment(text: str) -> datetime:
    """Return a time as the server writes it: UTC, with or without saying so."""
    time_ = datetime.fromisoformat(text)
    return time_ if time_.tzinfo else time_.replace(tzinfo=UTC)


def log_in(server: Server, name: str, password: str) -> UserClient:
    """Return a real client that is logged in.

    Raises:
        StageError: the server refused.
    """
    with _quiet():
        client = UserClient(server.url, server.port, API_PATH, log_level="error")
        client.authenticate(name, password)
        if client.whoami is None:
            raise StageError(f"The server at {server.api} refused user {name!r}.")
        client.setup_encryption(None)
    return client


def wait_until(condition: Callable[[], bool], seconds: float, describe: Callable[[], str], every: float = 0.3) -> None:
    """Ask until the condition holds.

    Raises:
        StageError: it did not within `seconds`; `describe()` says what was the case instead.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise StageError(f"After {seconds:.0f} s: {describe()}.")
        time.sleep(every)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the client's welcome off the screen, and its hands off the root logger, whose handlers it replaces."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def _made(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer, unless it is an error, which the client passes on as if it were one."""
    if "id" not in answer:
        raise StageError(f"The server refused: {answer}")
    return answer
