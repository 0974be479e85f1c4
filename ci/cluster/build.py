"""Builds the cluster's components from pinned Go modules, once, and keeps them by a hash of what they are made of."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ci.cluster import locks
from ci.cluster.errors import ClusterError
from ci.cluster.places import Home, cache

SOURCES = Path(__file__).parent / "components"
VERSIONS = {
    "Kubernetes": "1.34.4",
    "Cilium": "1.15.19",
    "CoreDNS": "1.13.2",
    "etcd": "3.7.3",
    "local-path-provisioner": "0.0.30",
}
"""As the go.mod files in ``components`` pin them; a test compares."""
_VERSION = "k8s.io/component-base/version"
_NOTE_EVERY = 30.0


@dataclass(frozen=True)
class Component:
    """A Go module of ours in ``components/`` and the programs it gives: name -> Go package."""

    name: str
    programs: dict[str, str]
    link: str = ""
    tags: str = ""
    copies: tuple[tuple[str, str, str], ...] = ()
    """Folders kept from a module's sources: (module, folder in it, folder kept)."""

    @property
    def key(self) -> str:
        """Hash of everything the result depends on, but the Go release."""
        digest = hashlib.sha256(repr(self).encode())
        for file in sorted(p for p in (SOURCES / self.name).rglob("*") if p.is_file()):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        return digest.hexdigest()[:12]

    @property
    def folder(self) -> Path:
        return cache() / "components" / f"{self.name}-{self.key}"


_CILIUM = "github.com/cilium/cilium"
_CILIUM_CRDS = "pkg/k8s/apis/cilium.io/client/crds"
COMPONENTS = (
    Component(
        "kubernetes",
        {"hyperkube": "./hyperkube", "coredns": "./coredns"},
        link=f"-X {_VERSION}.gitVersion=v{VERSIONS['Kubernetes']} -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=34",
    ),
    Component("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}),
    Component(
        "cilium",
        {"cilium-agent": f"{_CILIUM}/daemon", "cilium-cni": f"{_CILIUM}/plugins/cilium-cni"},
        tags="osusergo",
        # The agent compiles its data path from these sources; its operator would install these definitions.
        copies=(
            (_CILIUM, "bpf", "bpf"),
            (_CILIUM, f"{_CILIUM_CRDS}/v2", "crds-v2"),
            (_CILIUM, f"{_CILIUM_CRDS}/v2alpha1", "crds-v2alpha1"),
        ),
    ),
    Component("local-path-provisioner", {"local-path-provisioner": "github.com/rancher/local-path-provisioner"}),
    Component("pause", {"pause": "."}),
)

KWOK = Component("kwok", {"kwok": "sigs.k8s.io/kwok/cmd/kwok"})
"""Pretends to be the kubelet of machines that there are none of; for benchmarks, and no part of the cluster."""

DEVICE_PLUGIN = Component("device-plugin", {"device-plugin": "."})
"""Offers GPUs that there are none of; for tests, likewise."""

_CONTAINERD = "github.com/containerd/containerd/v2/cmd"
DRA = (
    Component("containerd", {name: f"{_CONTAINERD}/{name}" for name in ("containerd", "containerd-shim-runc-v2")}),
    Component("dra-driver", {"dra-driver": "."}),
)
"""To claim devices: containerd 2 in place of Debian's, and a driver that offers two GPUs that there are none of."""

GVISOR = Component("gvisor", {"runsc": "gvisor.dev/gvisor/runsc", "containerd-shim-runsc-v1": "."})
"""A container runtime with a kernel of its own; for those who ask for it, since most don't."""


def components(home: Home) -> tuple[Component, ...]:
    """Those of a cluster."""
    return COMPONENTS + (DRA if home.dra else ())


def folder(component: str) -> Path:
    """Where the named component's programs are."""
    return next(c.folder for c in COMPONENTS if c.name == component)


def ensure(say: Callable[[str], None], components: tuple[Component, ...] = COMPONENTS) -> None:
    """Build what the cache lacks of these components, by default the cluster's.

    Raises:
        ClusterError: when there is no Go, or with what Go said last.
    """
    if all(component.folder.exists() for component in components):
        return
    with locks.exclusive(cache() / "components" / "lock", "waiting for another build of the components"):
        missing = [component for component in components if not component.folder.exists()]
        if missing:
            say(f"building {', '.join(c.name for c in missing)}; all of it takes about 15 minutes on two cores, once")
        for component in missing:
            _build(component, say)


def go() -> str:
    """The Go command."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not found:
        raise ClusterError("Go is needed to build the cluster's components: install Go 1.26 or newer.")
    return found


def _build(component: Component, say: Callable[[str], None]) -> None:
    target = component.folder
    for abandoned in target.parent.glob(f".{component.name}-*"):
        shutil.rmtree(abandoned)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{component.name}-") as scratch:
        work = Path(scratch) / "result"
        work.mkdir(mode=0o755)
        for program, package in component.programs.items():
            _compile(component, program, package, work, say)
        for module, source, kept in component.copies:
            shutil.copytree(Path(_go(component, "list", "-m", "-f", "{{.Dir}}", module)) / source, work / kept)
        _make_writable(work)
        work.rename(target)
    for old in target.parent.glob(f"{component.name}-????????????"):
        if old != target and time.time() - old.stat().st_mtime > 14 * 86400:
            shutil.rmtree(old, ignore_errors=True)


def _compile(component: Component, program: str, package: str, work: Path, say: Callable[[str], None]) -> None:
    started = time.monotonic()
    say(f"{program}: downloading its sources")
    tags = ["-tags", component.tags] if component.tags else []
    packages = len(_go(component, "list", "-deps", *tags, package).split())
    options = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", *tags]
    command = [go(), "build", "-v", *options, "-ldflags", f"-s -w {component.link}", "-o", str(work / program), package]
    with subprocess.Popen(
        ["nice", "-n", "5", *command],
        cwd=SOURCES / component.name,
        env={**os.environ, "CGO_ENABLED": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        lines: list[str] = []
        noted = started
        for line in process.stdout or ():  # go build -v names each package when it starts with it
            lines.append(line)
            if time.monotonic() - noted > _NOTE_EVERY:
                noted = time.monotonic()
                say(f"{program}: compiled about {len(lines)} of {packages} packages")
    if process.returncode != 0:
        said = "".join([line for line in lines if " " in line][-15:]).strip()  # the other lines name packages
        raise ClusterError(f"go build of {program} ended with status {process.returncode}: {said or 'it said nothing'}")
    say(f"{program}: built in {time.monotonic() - started:.0f} s")


def _go(component: Component, *arguments: str) -> str:
    result = subprocess.run(
        [go(), *arguments],
        cwd=SOURCES / component.name,
        env={**os.environ, "CGO_ENABLED": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise ClusterError(f"go {arguments[0]} failed in {component.name}: {result.stderr.strip()[-800:]}")
    return result.stdout.strip()


def _make_writable(folder: Path) -> None:
    """Let the owner remove what was copied: Go's module cache is read-only."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
