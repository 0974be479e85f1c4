"""Real vantage6 servers on loopback, of several releases, and the ways in which a session is held with them."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import figures
from tests.server.sessions import Way
from tests.server.site import Site
from tests.server.ways import EVERY, Kind, params
from tests.stage.federation import Collaboration, Federation
from tests.stage.server import Server
from tests.unit.keys import key_file

_numbers = itertools.count(1)


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


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The private keys of the two organizations of every encrypted collaboration."""
    folder = tmp_path_factory.mktemp("keys")
    return [key_file(folder, name) for name in ("hospital", "clinic")]


@pytest.fixture(scope="session", params=params(EVERY))
def way(request: pytest.FixtureRequest, server_of: Callable[[str], Server], keys: list[Path]) -> Way:
    kind: Kind = request.param
    return Way(server_of(kind.release), kind.transport, keys if kind.encrypted else [])


@pytest.fixture
def new_collaboration(way: Way) -> Collaboration:
    """A collaboration of two hospitals that no other test uses, whose nodes were never there."""
    # Logged in anew: a test before this one may have given the server a new secret.
    federation = Federation(way.server)
    number = next(_numbers)
    names = (f"Hospital {number}", f"Clinic {number}")
    organizations = [federation.organization(name) for name in names]
    study = federation.collaboration(f"Study {number}", organizations, encrypted=way.encrypted)
    study.keys = {organization.id: key for organization, key in zip(organizations, way.keys, strict=False)}
    return study


@pytest.fixture
async def collaboration(way: Way, new_collaboration: Collaboration) -> Collaboration:
    """A collaboration whose organizations' keys the server has; the node under test is the first one's."""
    for number in range(len(way.keys)):
        async with way.opened(new_collaboration, number):
            pass  # the node registers its key, as it does when it comes for the first time
    return new_collaboration


@pytest.fixture(params=[True, False], ids=["encrypted", "plain"])
def site(request: pytest.FixtureRequest, federation: Federation, tmp_path: Path) -> Site:
    """The only organization of a collaboration of the newest release's server, encrypted or not."""
    number = next(_numbers)
    organization = federation.organization(f"Hospital {number}")
    study = federation.collaboration(f"Study {number}", [organization], encrypted=request.param)
    return Site(study, study.nodes[0], tmp_path, enabled=request.param)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for title, lines in figures.collected():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
