"""What every local cluster holds from the start: images, Cilium's definitions, DNS, storage, runtime classes."""

import string
import subprocess
import tempfile
from pathlib import Path

from ci.cluster import build, configuration, containerd
from ci.cluster.files import MANIFESTS
from ci.cluster.images import SmallImage
from ci.cluster.kubectl import Kubectl
from ci.cluster.places import INSIDE, INTERNET_HOST, INTERNET_NAME, Addresses, Home

DEPLOYMENTS = (("kube-system", "coredns"), ("local-path-storage", "local-path-provisioner"))
BUSYBOX = Path("/bin/busybox")


def images() -> list[SmallImage]:
    """Static programs, an image each."""
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    kubernetes, storage = build.folder("kubernetes"), build.folder("local-path-provisioner")
    return [
        _program(configuration.PAUSE_IMAGE, build.folder("pause") / "pause"),
        _program("docker.io/coredns/coredns:1.13.2", kubernetes / "coredns"),
        _program("docker.io/rancher/local-path-provisioner:v0.0.30", storage / "local-path-provisioner"),
        SmallImage(
            "localhost/busybox:test",
            {"bin/busybox": BUSYBOX},
            ["/bin/sh"],
            links={f"bin/{applet}": "busybox" for applet in applets if applet != "busybox"},
        ),
    ]


def load_images(home: Home) -> None:
    with tempfile.TemporaryDirectory(dir=home.state) as folder:
        tars = [Path(folder) / f"{number}.tar" for number, _ in enumerate(images())]
        for image, tar in zip(images(), tars, strict=True):
            image.write(tar)
        containerd.load(home, tars)


def apply(kubectl: Kubectl, addresses: Addresses) -> None:
    """Create the objects. Cilium's definitions come from its sources, so that its operator isn't needed."""
    for definitions in ("crds-v2", "crds-v2alpha1"):
        kubectl("apply", "-f", str(build.folder("cilium") / definitions))
    for manifest in sorted(MANIFESTS.glob("*.yaml")):
        text = string.Template(manifest.read_text()).safe_substitute(
            INTERNET_HOST=INTERNET_HOST,
            INTERNET_NAME=INTERNET_NAME,
            DNS_SERVICE=addresses.dns_service,
            VOLUMES=INSIDE / "volumes",
        )
        kubectl("apply", "-f", "-", text=text)


def _program(ref: str, program: Path) -> SmallImage:
    return SmallImage(ref, {f"bin/{program.name}": program}, [f"/bin/{program.name}"])
