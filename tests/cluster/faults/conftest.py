"""A site that all tests here share, and the image whose launcher does as it is told."""

from collections.abc import Iterator

import pytest

from ci import images as image_builder
from ci.cluster import Cluster
from ci.images import Image
from tests.cluster.conftest import watched
from tests.cluster.troupe import Troupe
from tests.faults.site import IMAGE, FaultySite, faulty_site
from tests.stage.federation import Federation
from tests.stage.kube import Kubectl


@pytest.fixture(scope="session")
def images(cluster: Cluster, images: dict[str, Image]) -> dict[str, Image]:
    return images | image_builder.ensure_loaded(cluster, [IMAGE])


@pytest.fixture(scope="package")
def fault_troupe(
    request: pytest.FixtureRequest,
    kubectl: Kubectl,
    federation: Federation,
    images: dict[str, Image],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Troupe]:
    yield from watched(Troupe(kubectl, federation, images, tmp_path_factory.mktemp("values")), request.config)


@pytest.fixture(scope="package")
def whole_site(fault_troupe: Troupe, cluster: Cluster, kubectl: Kubectl) -> Iterator[FaultySite]:
    with faulty_site(fault_troupe, cluster, kubectl) as site:
        yield site


@pytest.fixture(scope="module")
def site(whole_site: FaultySite) -> FaultySite:
    """What an earlier module left behind is that one's failure alone."""
    whole_site.belongings = whole_site.objects()
    return whole_site
