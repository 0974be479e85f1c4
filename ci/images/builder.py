"""What an image is, once built, and what builds one."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ci.images import archive
from ci.images.recipes import BuildError, Inputs


@dataclass(frozen=True)
class Image:
    """An image: its name here, the reference that a pod asks for, and the archive it is in."""

    name: str
    ref: str
    tar: Path

    @property
    def digest(self) -> str:
        """The digest of its manifest, `sha256:…`."""
        return archive.manifest_digest(self.tar)


class Builder(Protocol):
    """A program that builds images; what it prints goes to the file `log`. Methods raise BuildError when it fails."""

    def base_identity(self) -> str:
        """Return what distinguishes images built on this builder's base image from others."""

    def build(self, inputs: Inputs, ref: str, tar: Path, log: Path, base: str = "") -> None:
        """Build an image called `ref` and write it to `tar`, an OCI archive.

        Args:
            inputs: what it is made of.
            ref: its reference.
            tar: file to write.
            log: file to append messages to.
            base: reference of an image built before that it stands on; none for the builder's own base image.
        """

    def push(self, image: Image, remote: str, log: Path) -> None:
        """Push a built image to a registry, to be called `remote` there."""

    def forget(self, ref: str, log: Path) -> None:
        """Remove an image and the layers that only it uses, if it is there."""


def run(command: Sequence[str], log: Path) -> str:
    """Run a program niced, append its messages to `log`, and return what it wrote to standard output.

    Raises:
        BuildError: its exit status is not 0.
    """
    with log.open("a") as messages:
        messages.write(f"$ {' '.join(command)}\n")
        messages.flush()
        # Standard input is closed: a program that would ask for a password fails instead.
        done = subprocess.run(
            ["nice", "-n", "5", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
            check=False,
        )
        messages.write(done.stdout)
    if done.returncode != 0:
        tail = "\n".join(log.read_text().splitlines()[-15:])
        raise BuildError(f"{command[0]} failed (exit status {done.returncode}); the end of {log}:\n{tail}")
    return done.stdout
