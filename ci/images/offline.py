"""Images without a container registry and without a daemon: buildah, in a store of its own below the cache.

The Dockerfiles are the ones that docker builds; only the base image is a stand-in (`base.py`), and while RUN
instructions run, the host's certificates and its configuration of pip are mounted, so that pip reaches what the host's
pip reaches.
"""

import ast
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ci.images import base
from ci.images.archive import Layers
from ci.images.recipes import BuildError, Inputs

_PROGRAMS = ("buildah", "mmdebstrap", "skopeo")  # Debian packages of the same names
# Where Debian keeps the certificates it trusts; the base image, too.
_SYSTEM_CA = Path("/etc/ssl/certs/ca-certificates.crt")
# What of the host's configuration of pip makes sense inside a build: where packages come from, not the host's files.
_PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "timeout", "proxy")


class Builder:
    """buildah with its store in the folder `home`. Not for two processes at a time: the caller holds a lock."""

    def __init__(self, home: Path) -> None:
        self._store = home / "store"
        self._layers = Layers(home)
        # Not in the cache: it describes what is mounted right now, and has to go when the machine restarts.
        self._run = Path("/run/v6-node-images") / hashlib.sha256(bytes(home)).hexdigest()[:12]

    @staticmethod
    def base_identity() -> str:
        """Return what distinguishes images built on this base from others."""
        return base.reference()

    def build(self, inputs: Inputs, ref: str, tar: Path, log: Path) -> None:
        """Build `ref` and write it to `tar`, an OCI archive; the programs' output goes to the file `log`.

        Raises:
            BuildError: a program is missing or failed.
        """
        _install_programs()
        self._buildah(["rm", "--all"], log)  # what an interrupted build left behind
        self._ensure_base(log)
        with TemporaryDirectory() as scratch:
            context = Path(scratch) / "context"
            context.mkdir()
            dockerfile = inputs.write(context)
            self._buildah(
                [
                    *("bud", "--isolation", "chroot", "--network", "host", "--pull-never", "--layers"),
                    *_pip_mounts(Path(scratch)),
                    *("--build-arg", f"BASE_IMAGE={base.reference()}"),
                    *("--file", str(dockerfile), "--tag", ref, str(context)),
                ],
                log,
            )
        self._export(ref, tar, log)

    def push(self, ref: str, remote: str, log: Path) -> None:
        """Push the built image `ref` to a registry as `remote`.

        Raises:
            BuildError: the registry does not take it.
        """
        self._buildah(["push", "--quiet", ref, f"docker://{remote}"], log)

    def forget(self, ref: str, log: Path) -> None:
        """Remove an image and the layers that only it uses, if it is there."""
        if self._has(ref):
            self._buildah(["rmi", ref], log)

    def _ensure_base(self, log: Path) -> None:
        if self._has(base.reference()):
            return
        print(
            "images: making the base image from Debian packages (one to two minutes, once)", file=sys.stderr, flush=True
        )
        with TemporaryDirectory(dir=self._store.parent) as scratch:
            tar = str(Path(scratch) / "root.tar")
            run(base.mmdebstrap(tar), log)
            container = self._buildah(["from", "scratch"], log).strip()
            self._buildah(["add", "--quiet", container, tar, "/"], log)
            self._buildah(["config", "--cmd", "python3", container], log)
            self._buildah(["commit", "--quiet", "--rm", container, base.reference()], log)

    def _export(self, ref: str, tar: Path, log: Path) -> None:
        self._layers.expect_one_image()
        source = f"containers-storage:[overlay@{self._store}+{self._run}]{ref}"
        target = f"oci:{self._layers.layout}:{ref}"
        run(["skopeo", "copy", "--quiet", "--dest-oci-accept-uncompressed-layers", source, target], log)
        self._layers.write(ref, tar)

    def _has(self, ref: str) -> bool:
        return (
            subprocess.run(
                self._command(["inspect", "--type", "image", ref]), capture_output=True, check=False
            ).returncode
            == 0
        )

    def _buildah(self, arguments: Sequence[str], log: Path) -> str:
        return run(self._command(arguments), log)

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [
            "buildah",
            "--root",
            str(self._store),
            "--runroot",
            str(self._run),
            "--storage-driver",
            "overlay",
            *arguments,
        ]


def _install_programs() -> None:
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BuildError(
            f"Building images needs a running docker or podman, or {' and '.join(missing)}: install docker or podman, "
            "or run this as root on Debian 12, which installs the others by itself."
        )
    print(f"images: installing {' and '.join(missing)}", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        done = subprocess.run(
            ["apt-get", "-qq", *command], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise BuildError(
                f"`apt-get {' '.join(command)}` failed: {done.stderr.strip()} Install {' and '.join(missing)} by hand."
            )


def run(command: Sequence[str], log: Path) -> str:
    """Run a program niced, append its messages to `log`, and return what it wrote to standard output."""
    with log.open("a") as messages:
        messages.write(f"$ {' '.join(command)}\n")
        messages.flush()
        done = subprocess.run(
            ["nice", "-n", "5", *command], stdout=subprocess.PIPE, stderr=messages, text=True, check=False
        )
        messages.write(done.stdout)
    if done.returncode != 0:
        tail = "\n".join(log.read_text().splitlines()[-15:])
        raise BuildError(f"{command[0]} failed (exit status {done.returncode}); the end of {log}:\n{tail}")
    return done.stdout


def _pip_mounts(scratch: Path) -> list[str]:
    """Return the options that show the host's certificates and package index to RUN instructions only."""
    settings = pip_settings(
        subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
        ).stdout
    )
    lines = [f"{key} = {settings[key]}" for key in _PIP_KEYS if key in settings]
    mounts = []
    authority = Path(settings.get("cert") or os.environ.get("SSL_CERT_FILE") or _SYSTEM_CA)
    if authority.is_file():
        lines.append(f"cert = {_SYSTEM_CA}")
        mounts += ["--volume", f"{authority}:{_SYSTEM_CA}:ro"]
    configuration = scratch / "pip.conf"
    configuration.touch(mode=0o600)
    configuration.write_text("\n".join(["[global]", *lines, ""]))
    return [*mounts, "--volume", f"{configuration}:/etc/pip.conf:ro"]


def pip_settings(listing: str) -> dict[str, str]:
    """Read the output of `pip config list`: lines like `global.index-url='…'`, where `:env:.…` wins over files."""
    settings = {}
    for line in sorted(listing.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2].replace("default-timeout", "timeout")
        settings[key] = str(ast.literal_eval(value)).replace("\n", " ")
    return settings
