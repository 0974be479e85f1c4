"""Organizations, collaborations, nodes and researchers on a vantage6 server, made and used with the real client.

federation = Federation(server)
north, south = federation.organization("Hospital North"), federation.organization("Hospital South")
study = federation.collaboration("Study", [north, south])
study.node(north).api_key
task = study.researcher().send(image, "partial_average", to=[north], column="age", databases=["default"])
task.wait().results()
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.stage.client import log_in, made
from tests.stage.server import Server
from tests.stage.task import Task


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
        return Organization(made(self.root.organization.create(name, **address, domain=domain))["id"], name)

    def collaboration(
        self, name: str, organizations: Sequence[Organization], *, encrypted: bool = False
    ) -> "Collaboration":
        """Register a collaboration with an account for the node of each organization."""
        ids = [organization.id for organization in organizations]
        collaboration = made(self.root.collaboration.create(name, ids, encrypted=encrypted))
        nodes = [self._node(collaboration["id"], f"{name} - {each.name}", each) for each in organizations]
        return Collaboration(self, collaboration["id"], name, nodes)

    def _node(self, collaboration_id: int, name: str, organization: Organization) -> NodeAccount:
        node = made(self.root.node.create(collaboration_id, organization.id, name))
        return NodeAccount(node["id"], node["name"], node["api_key"], organization)

    def user(self, organization: Organization) -> tuple[str, str]:
        """Create a user with the server's default role Researcher; return name and password."""
        name, password = f"researcher-{secrets.token_hex(4)}", f"{secrets.token_urlsafe(12)}aA1!"
        people = {"firstname": "Test", "lastname": "Researcher", "email": f"{name}@stage.example"}
        rights = {"organization": organization.id, "roles": [self._researcher_role]}
        made(self.root.user.create(name, password=password, **people, **rights))
        return name, password


@dataclass
class Collaboration:
    """A collaboration: its nodes' accounts, and its researchers."""

    federation: Federation
    id: int
    name: str
    nodes: list[NodeAccount]
    keys: dict[int, Path] = field(default_factory=dict)
    """Files with private keys, by the number of the organization; in an encrypted collaboration."""

    def node(self, organization: Organization) -> NodeAccount:
        return next(node for node in self.nodes if node.organization == organization)

    def researcher(self, organization: Organization | None = None) -> "Researcher":
        """Return a new researcher of the organization (default: the first one), with its private key if there is."""
        home = organization or self.nodes[0].organization
        return Researcher(self, *self.federation.user(home), self.keys.get(home.id))


class Researcher:
    """A person with vantage6's own client, logged in."""

    def __init__(self, collaboration: Collaboration, name: str, password: str, key: Path | None = None) -> None:
        self.collaboration = collaboration
        self.name = name
        self.password = password
        self.client = log_in(collaboration.federation.server, name, password, key)

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
        task = self.client.task.create(
            organizations=[each.id for each in receivers],
            name=method,
            image=image,
            description="",
            input_={"method": method, "args": list(args), "kwargs": kwargs},
            collaboration=self.collaboration.id,
            databases=[{"label": each} if isinstance(each, str) else dict(each) for each in databases],
        )
        return Task(self.client, made(task)["id"])

    def node_status(self, node: NodeAccount) -> str:
        """Return `online`, or `offline` (also for a node that never connected, which the server leaves empty)."""
        return str(self.client.node.get(node.id)["status"] or "offline")
