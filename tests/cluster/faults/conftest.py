"""A site of its own for each module, and the image whose launcher does as it is told."""

from collections.abc import Iterator

import pytest

from ci import images as image_builder
from ci.cluster import Cluster
from ci.images import Image
from tests.cluster.troupe import Troupe
from tests.faults.site import IMAGE, FaultySite, faulty_site
from tests.stage.kube import Kubectl


@pytest.fixture(scope="session")
def images(cluster: Cluster, images: dict[str, Image]) -> dict[str, Image]:
    return images | image_builder.ensure_loaded(cluster, [IMAGE])


@pytest.fixture(scope="module")
def site(troupe: Troupe, cluster: Cluster, kubectl: Kubectl) -> Iterator[FaultySite]:
    with faulty_site(troupe, cluster, kubectl) as site:
        yield site
