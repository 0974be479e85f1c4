"""The nodes of one module's tests."""

import itertools
import secrets
from pathlib import Path
from typing import Any

from ci.images import Image
from tests.stage.federation import Collaboration, Federation, NodeAccount
from tests.stage.kube import Kubectl
from tests.stage.node import Node, owner_of_this_process, values_for

_numbers = itertools.count(1)


class Troupe:
    """Makes collaborations and nodes, and remembers what has to be removed.

    Args:
        kubectl: the cluster.
        federation: the server.
        images: of node and algorithms.
        folder: where values files are kept.
    """

    def __init__(self, kubectl: Kubectl, federation: Federation, images: dict[str, Image], folder: Path) -> None:
        self.kubectl = kubectl
        self.federation = federation
        self.images = images
        self.nodes: list[Node] = []
        self._folder = folder

    def collaboration(self, size: int = 1, *, encrypted: bool = False) -> Collaboration:
        """Make a collaboration of so many new organizations, with an account for the node of each."""
        number = next(_numbers)
        names = [f"Hospital {number}.{index + 1}" for index in range(size)]
        organizations = [self.federation.organization(name) for name in names]
        return self.federation.collaboration(f"Study {number}", organizations, encrypted=encrypted)

    def node(
        self, collaboration: Collaboration, account: NodeAccount | None = None, *, port: int = 0, **keys: Any
    ) -> Node:
        """Make a node, with its namespace, but don't install it yet (`start` does).

        Args:
            account: which of the collaboration's nodes; default: the first.
            port: of a recorder in front of the server, at the same address; default: the server's own.
            keys: further keys of the values' section `node`.
        """
        server = self.federation.server
        account = account or collaboration.nodes[0]
        values = values_for(
            account,
            server.url,
            port or server.port,
            self.images,
            **keys,
        )
        name = f"v6-test-{secrets.token_hex(3)}"
        owner = owner_of_this_process()
        node = Node(self.kubectl, collaboration, account, name, values, folder=self._folder, owner=owner)
        node.create_namespace()
        self.nodes.append(node)
        return node

    def leave(self) -> None:
        """Remove all nodes; their namespaces end by themselves."""
        for node in self.nodes:
            node.remove()
        self.nodes.clear()
