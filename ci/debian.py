"""Debian packages that building and booting need, installed when they are missing."""

import os
import subprocess
from collections.abc import Sequence


class InstallError(Exception):
    """apt-get could not install something; the message ends with its last words."""


def install(packages: Sequence[str]) -> None:
    """Install packages; the lists are fetched only if it does not work without.

    Raises:
        InstallError: apt-get failed.
    """
    if _apt("install", *packages).returncode == 0:
        return
    _apt("update")
    last = _apt("install", *packages)
    if last.returncode != 0:
        raise InstallError(f"apt-get could not install {' '.join(packages)}: {last.stdout.strip()[-600:]}")


def _apt(verb: str, *packages: str) -> subprocess.CompletedProcess[str]:
    options = ["--yes", "--no-install-recommends", "--option=DPkg::Lock::Timeout=600"] if packages else []
    return subprocess.run(
        ["apt-get", verb, *options, *packages],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
