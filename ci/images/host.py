"""What an offline build takes from the machine it runs on: programs, certificates, and where packages come from."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ci import debian
from ci.images.recipes import BuildError

_PROGRAMS = ("buildah", "mmdebstrap", "skopeo")  # Debian packages of the same names
# Where Debian keeps the certificates it trusts; the base image, too.
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# What of the host's configuration of pip makes sense inside a build: where packages come from, not the host's files.
_PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "timeout", "proxy")


def ensure_programs() -> None:
    """Install the programs that are missing.

    Raises:
        BuildError: this machine cannot build images offline, or apt-get could not install them.
    """
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if os.geteuid() != 0 or (missing and shutil.which("apt-get") is None):
        raise BuildError(
            "Images are built by docker or podman, or else as root on Debian 12: start docker or podman here "
            "(`docker info` and pulling the base image have to succeed), or run this as root on Debian 12."
        )
    if not missing:
        return
    print(f"images: installing {', '.join(missing)}", file=sys.stderr, flush=True)
    try:
        debian.install(missing)
    except debian.InstallError as error:
        raise BuildError(str(error)) from error


def pip_mounts(scratch: Path) -> list[str]:
    """Return buildah's options that show this machine's certificates and package index to RUN instructions only.

    They are mounted over files that the base image has, so that no layer gets even an empty file from it.
    """
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    settings = pip_settings(listing.stdout)
    lines = ["[global]", *(f"{key} = {settings[key]}" for key in _PIP_KEYS if key in settings)]
    mounts = []
    authority = Path(settings.get("cert") or os.environ.get("SSL_CERT_FILE") or _CERTIFICATES)
    if authority.is_file():
        lines.append(f"cert = {_CERTIFICATES}")
        mounts += ["--volume", f"{authority}:{_CERTIFICATES}:ro"]
    configuration = scratch / "pip.conf"
    configuration.touch(mode=0o600)  # an index's address may contain a password
    configuration.write_text("\n".join([*lines, ""]))
    return [*mounts, "--volume", f"{configuration}:/etc/pip.conf:ro"]


def apt_mounts() -> list[str]:
    """Return buildah's options that show this machine's sources of Debian packages to RUN instructions only."""
    return ["--volume", "/etc/apt:/etc/apt:ro"]


def pip_settings(listing: str) -> dict[str, str]:
    """Read the output of `pip config list`: lines like `global.index-url='…'`, where `:env:.…` wins over files."""
    settings = {}
    for line in sorted(listing.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2].replace("default-timeout", "timeout")
        settings[key] = str(ast.literal_eval(value)).replace("\n", " ")
    return settings
