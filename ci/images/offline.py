"""Images without a container registry and without a daemon: buildah, in a store of its own below the cache.

The Dockerfiles are the ones that docker builds; only the base image is a stand-in (`base.py`), and while RUN
instructions run, pip and apt-get reach what the host's reach (`host.py`).
"""

import hashlib
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ci.images import base as debian_python
from ci.images import host
from ci.images.archive import Layers
from ci.images.builder import Image, run
from ci.images.recipes import Inputs

# Else the store stays mounted on itself, and whoever wants to remove the cache is told that it is busy.
_NO_MOUNT = "overlay.skip_mount_home=true"


class OfflineBuilder:
    """buildah as a `builder.Builder`, with a store in the folder `home`.

    Not for two processes at a time: the caller of `build` and `forget` holds a lock.
    """

    def __init__(self, home: Path) -> None:
        self._store = home / "store"
        self._layers = Layers(home)
        # Not in the cache: it describes what is mounted right now, and has to go when the machine restarts.
        self._mounts = Path("/run/v6-node-images") / hashlib.sha256(bytes(home)).hexdigest()[:12]

    def base_identity(self) -> str:
        """Return the name of the stand-in base image, which has its recipe's hash in it."""
        return debian_python.reference()

    def build(self, inputs: Inputs, ref: str, tar: Path, log: Path, base: str = "") -> None:
        """Build with cached layers, making the base image and installing the programs first where they are missing."""
        host.ensure_programs()
        self._buildah(log, "rm", "--all")  # what an interrupted build left behind
        self._ensure_base(log)
        with TemporaryDirectory() as scratch:
            context = Path(scratch) / "context"
            context.mkdir()
            dockerfile = inputs.write(context)
            self._buildah(
                log,
                *("bud", "--isolation=chroot", "--network=host", "--pull-never", "--layers"),
                *host.pip_mounts(Path(scratch)),
                *host.apt_mounts(),
                f"--build-arg=BASE_IMAGE={base or debian_python.reference()}",
                *("--file", str(dockerfile), "--tag", ref, str(context)),
            )
        self._export(ref, tar, log)

    def push(self, image: Image, remote: str, log: Path) -> None:
        """Push the archive. A registry on this machine may speak plain HTTP, as with docker."""
        insecure = ["--dest-tls-verify=false"] if re.match(r"(localhost|127\.[\d.]+)[:/]", remote) else []
        run(["skopeo", "copy", "--quiet", *insecure, f"oci-archive:{image.tar}", f"docker://{remote}"], log)

    def forget(self, ref: str, log: Path) -> None:
        """Remove the image from the store."""
        if self._has(ref):
            self._buildah(log, "rmi", ref)

    def _ensure_base(self, log: Path) -> None:
        if self._has(debian_python.reference()):
            return
        print("images: making the base image of Debian packages (a minute or two, once)", file=sys.stderr, flush=True)
        self._buildah(log, "rmi", "--all", "--force")  # all there is was built on a base that is no longer wanted
        tar = self._store.parent / "base.tar"
        run(debian_python.mmdebstrap(str(tar)), log)
        container = self._buildah(log, "from", "scratch").strip()
        self._buildah(log, "add", "--quiet", container, str(tar), "/")
        tar.unlink()
        self._buildah(log, "config", "--cmd=python3", container)
        self._buildah(log, "commit", "--quiet", "--rm", container, debian_python.reference())

    def _export(self, ref: str, tar: Path, log: Path) -> None:
        self._layers.expect_one_image()
        source = f"containers-storage:[overlay@{self._store}+{self._mounts}:{_NO_MOUNT}]{ref}"
        target = f"oci:{self._layers.layout}:{ref}"
        run(["skopeo", "copy", "--quiet", "--dest-oci-accept-uncompressed-layers", source, target], log)
        self._layers.write(ref, tar)

    def _has(self, ref: str) -> bool:
        inspect = [*self._command(), "inspect", "--type=image", ref]
        return subprocess.run(inspect, capture_output=True, check=False).returncode == 0

    def _buildah(self, log: Path, *arguments: str) -> str:
        return run([*self._command(), *arguments], log)

    def _command(self) -> Sequence[str]:
        folders = (f"--root={self._store}", f"--runroot={self._mounts}")
        return ("buildah", *folders, "--storage-driver=overlay", f"--storage-opt={_NO_MOUNT}")
