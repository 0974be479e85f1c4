"""Real vantage6 servers on loopback, of several releases, and the ways in which a session is held with them."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.cluster import figures
from tests.server.sessions import Way
from tests.stage.federation import Collaboration, Federation
from tests.stage.server import Server
from tests.stage.server_python import MIDDLE, NEWEST, OLDEST

RELEASES, TRANSPORTS = (NEWEST, MIDDLE, OLDEST), ("polling", "websocket")
ORDINARY = {(NEWEST, "polling"), (MIDDLE, "websocket"), (OLDEST, "polling")}
_numbers = itertools.count(1)


def _ways() -> Iterator[object]:
    """Every release and every transport in the ordinary run; every pair in the one of everything."""
    for pair in itertools.product(RELEASES, TRANSPORTS):
        yield pytest.param(pair, id="-".join(pair), marks=[] if pair in ORDINARY else pytest.mark.slow)


@pytest.fixture(scope="session")
def server_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Starts the server of a release when it is first asked for."""
    servers: dict[str, Server] = {}

    def started(release: str) -> Server:
        if release not in servers:
            servers[release] = Server(tmp_path_factory.mktemp("server"), release=release)
            servers[release].start()
            figures.note("vantage6 servers tested", servers[release].version())
        return servers[release]

    yield started
    for server in servers.values():
        server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The newest release's, for one module alone."""
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def federation(server: Server) -> Federation:
    return Federation(server)


@pytest.fixture(scope="session", params=_ways())
def way(request: pytest.FixtureRequest, server_of: Callable[[str], Server]) -> Way:
    release, transport = request.param
    return Way(server_of(release), transport)


@pytest.fixture
def collaboration(way: Way) -> Iterator[Collaboration]:
    """A collaboration of two hospitals that no other test uses; the node under test is the first one's."""
    # Logged in anew: a test before this one may have given the server a new secret.
    federation = Federation(way.server)
    number = next(_numbers)
    names = (f"Hospital {number}", f"Clinic {number}")
    made = federation.collaboration(f"Study {number}", [federation.organization(name) for name in names])
    yield made
    # At each log-in the server compares the key with every node's, a fifth of a second for each.
    root = Federation(way.server).root
    for node in made.nodes:
        root.node.delete(node.id)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for title, lines in figures.collected():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
