"""A real vantage6 server on loopback for the tests of one module; no cluster is needed for it."""

from collections.abc import Iterator

import pytest

from tests.stage.federation import Federation
from tests.stage.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def federation(server: Server) -> Federation:
    return Federation(server)
