"""What every cluster test stands on: a cluster, the images, a real server; and nodes, made and removed by fixtures.

A failing test's report ends with what happened in the namespaces of its nodes.
"""

import secrets
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from ci import cluster as local_cluster
from ci import images as image_builder
from ci.cluster import Cluster, lifecycle
from ci.images import Image
from tests import figures
from tests.cluster import versions
from tests.cluster.servers import free_port, names, outside, postgres, registry, there
from tests.cluster.troupe import Troupe
from tests.stage.federation import Federation, Researcher
from tests.stage.kube import STAGE_LABEL, Kubectl
from tests.stage.node import Node, owner_of_this_process, remove_orphans
from tests.stage.server import Server
from tests.stage.stagehand import Stagehand

PRODUCT = ["v6-node", "v6-node-diagnostics", "v6-node-egress", "v6-node-tunnel"]
__all__ = ["free_port", "names", "outside", "postgres", "registry", "there"]  # fixtures of another module
TROUPES = pytest.StashKey[list[Troupe]]()


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return local_cluster.ensure()


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    kubectl = Kubectl(cluster.kubeconfig)
    remove_orphans(kubectl, STAGE_LABEL)
    figures.note(figures.TESTED, *versions.of_cluster(kubectl), *versions.of_programs(kubectl))
    return kubectl


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> dict[str, Image]:
    return image_builder.ensure_loaded(
        cluster, [*PRODUCT, "average", "poc-average", "behave", "services", "firstpacket"]
    )


@pytest.fixture(scope="session")
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"), cluster.host_address)
    server.start()
    figures.note(figures.TESTED, *versions.of_vantage6(server))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def federation(server: Server) -> Federation:
    return Federation(server)


@pytest.fixture(scope="session")
def stagehand(kubectl: Kubectl, images: dict[str, Image]) -> Iterator[Stagehand]:
    name = f"v6-stagehand-{secrets.token_hex(3)}"
    with Stagehand(kubectl, name, images["behave"].ref, owner_of_this_process()) as hand:
        yield hand


@pytest.fixture(scope="module")
def troupe(
    request: pytest.FixtureRequest,
    kubectl: Kubectl,
    federation: Federation,
    images: dict[str, Image],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Troupe]:
    """Makes collaborations and nodes for the tests of one module, and removes them after the last."""
    made = Troupe(kubectl, federation, images, tmp_path_factory.mktemp("values"))
    yield from watched(made, request.config)


def beside(**options: Any) -> Iterator[Cluster]:
    """A fixture's body: a local cluster of another kind (options of `ci.cluster.ensure`), which goes at the end."""
    if local_cluster.foreign():
        pytest.skip("KUBECONFIG's cluster is as it is; one of another kind is booted beside local clusters only")
    found = local_cluster.ensure(**options)
    yield found
    assert found.use is not None and found.home is not None
    found.use.close()
    lifecycle.down(found.home)


def troupe_of(
    cluster: Cluster, names: list[str], config: pytest.Config, paths: pytest.TempPathFactory
) -> Iterator[Troupe]:
    """A fixture's body: nodes on such a cluster, of a server of their own, with these algorithms."""
    server = Server(paths.mktemp("server"), cluster.host_address)
    server.start()
    images = image_builder.ensure_loaded(cluster, [*PRODUCT[:2], *names])
    yield from watched(Troupe(Kubectl(cluster.kubeconfig), Federation(server), images, paths.mktemp("values")), config)
    server.stop()


def watched(troupe: Troupe, config: pytest.Config) -> Iterator[Troupe]:
    """A fixture's body: what fails meanwhile is reported with the story of the nodes, which go at its end."""
    config.stash[TROUPES].append(troupe)
    yield troupe
    config.stash[TROUPES].remove(troupe)
    troupe.leave()


@pytest.fixture(scope="module")
def researcher(node: Node) -> Researcher:
    """A researcher of the collaboration that the module's own `node` is in."""
    return node.collaboration.researcher()


@pytest.fixture(scope="module")
def runtime_class(request: pytest.FixtureRequest, kubectl: Kubectl) -> Iterator[str]:
    """A RuntimeClass of the module's own: every containerd has the handler runc."""
    name = request.module.__name__.rpartition(".")[2].replace("test_", "v6-test-").replace("_", "-")
    kubectl.apply(
        {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": "runc"}
    )
    yield name
    kubectl("delete", "runtimeclass", name, "--ignore-not-found")


@pytest.fixture(scope="session")
def behave(images: dict[str, Image]) -> str:
    return images["behave"].ref


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TROUPES] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for troupe in item.config.stash[TROUPES]:
            for node in troupe.nodes:
                report.sections.append((f"namespace {node.namespace}", node.kubectl.story(node.namespace)))
    return report
