"""How images get to a cluster: imported, pushed, or a sentence about what to set."""

import json
from pathlib import Path

import pytest

from ci.images import delivery
from ci.images.builder import Image
from ci.images.recipes import BuildError
from tests.unit.programs import Programs

IMAGES = {name: Image(name, f"localhost/{name}:0123456789ab", Path(f"/cache/{name}.tar")) for name in ("one", "two")}


class SomeCluster:
    def __init__(self, kubeconfig: Path, *, local: bool) -> None:
        self.kubeconfig = kubeconfig
        self.local = local
        self.loaded: list[Path] = []

    def load(self, tars: list[Path]) -> None:
        self.loaded += tars


class Pusher:
    """The one method of a builder that delivery uses."""

    def __init__(self) -> None:
        self.pushed: list[tuple[str, str]] = []

    def push(self, image: Image, remote: str, _: Path) -> None:
        self.pushed.append((image.name, remote))


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("V6_NODE_REGISTRY", raising=False)


@pytest.fixture
def local(tmp_path: Path) -> SomeCluster:
    return SomeCluster(tmp_path / "kubeconfig", local=True)


@pytest.fixture
def foreign(tmp_path: Path) -> SomeCluster:
    return SomeCluster(tmp_path / "kubeconfig", local=False)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    programs = Programs(tmp_path / "programs")
    for name in ("helm", "helm3", "kubectl", "kind"):
        programs.add(name)
    monkeypatch.setenv("V6_NODE_TOOLS", str(programs.folder))
    programs.put_first(monkeypatch)
    return programs


def answer(programs: Programs, *nodes: list[str], context: str = "prod") -> None:
    """Let kubectl know of nodes that hold these images, and of a context."""
    items = [{"status": {"images": [{"names": [name, f"{name}@sha256:1"]} for name in held]}} for held in nodes]
    text = json.dumps({"items": items})
    programs.add("kubectl", f"case \"$*\" in *nodes*) echo '{text}';; *current-context*) echo {context};; esac")


def deliver(cluster: SomeCluster, pusher: Pusher | None = None) -> dict[str, Image]:
    return delivery.deliver(cluster, IMAGES, pusher or Pusher(), Path("/dev/null"))  # type: ignore[arg-type]


def test_the_local_cluster_imports_and_needs_no_registry(local: SomeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V6_NODE_REGISTRY", "registry.example.org/v6")
    assert deliver(local) == IMAGES
    assert local.loaded == [image.tar for image in IMAGES.values()]


def test_a_cluster_that_has_everything_is_left_alone(foreign: SomeCluster, programs: Programs) -> None:
    answer(programs, [IMAGES["one"].ref, IMAGES["two"].ref])
    assert deliver(foreign) == IMAGES
    assert foreign.loaded == []


def test_a_registry_gets_the_images_and_pods_ask_it(
    foreign: SomeCluster, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("V6_NODE_REGISTRY", "registry.example.org/v6/")
    pusher = Pusher()
    delivered = deliver(foreign, pusher)
    assert pusher.pushed == [(name, f"registry.example.org/v6/{name}:0123456789ab") for name in IMAGES]
    assert {name: image.ref for name, image in delivered.items()} == dict(pusher.pushed)
    assert programs.calls() == []


def test_an_image_has_to_be_on_every_node(foreign: SomeCluster, programs: Programs) -> None:
    answer(programs, [IMAGES["one"].ref, IMAGES["two"].ref], [IMAGES["two"].ref], context="kind-try")
    deliver(foreign)
    assert programs.calls("kind") == ["kind load image-archive /cache/one.tar --name try"]


def test_kind_loads_archives_into_the_cluster_of_the_context(foreign: SomeCluster, programs: Programs) -> None:
    answer(programs, [IMAGES["one"].ref], context="kind-try")
    deliver(foreign)
    assert programs.calls("kind") == ["kind load image-archive /cache/two.tar --name try"]


def test_a_failure_of_kind_is_told(foreign: SomeCluster, programs: Programs) -> None:
    answer(programs, [], context="kind-try")
    programs.add("kind", "echo no nodes found >&2; exit 1")
    with pytest.raises(BuildError, match=r"kind load image-archive /cache/one\.tar.*no nodes found"):
        deliver(foreign)


def test_any_other_cluster_is_told_of_the_registry(foreign: SomeCluster, programs: Programs) -> None:
    answer(programs, [], context="hospital")
    with pytest.raises(BuildError, match="context 'hospital' has to pull its images: set V6_NODE_REGISTRY"):
        deliver(foreign)


def test_an_unreachable_cluster_is_told(foreign: SomeCluster, programs: Programs) -> None:
    programs.add("kubectl", "echo connection refused >&2; exit 1")
    with pytest.raises(BuildError, match=r"kubectl get nodes .* failed: connection refused"):
        deliver(foreign)
