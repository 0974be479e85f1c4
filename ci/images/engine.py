"""Images by the docker or podman that runs on this machine, with the base image the Dockerfiles name."""

import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from ci.images.builder import Image, run
from ci.images.recipes import BuildError, Inputs

BASE_IMAGE = "docker.io/library/python:3.12-slim"  # as in every Dockerfile that needs Python


class EngineBuilder:
    """docker or podman as a `builder.Builder`."""

    def __init__(self, program: str) -> None:
        self._program = program

    def base_identity(self) -> str:
        """Return a constant: the Dockerfile itself names the base image."""
        return "the Dockerfile's own base image"

    def build(self, inputs: Inputs, ref: str, tar: Path, log: Path, base: str = "") -> None:
        """Build with the engine's own cache of layers, and save."""
        with TemporaryDirectory() as context:
            dockerfile = inputs.write(Path(context))
            on = [f"--build-arg=BASE_IMAGE={base}"] if base else []
            run([self._program, "build", *on, "--file", str(dockerfile), "--tag", ref, context], log)
        # docker's own format has been an OCI archive, too, since its version 25.
        form = ["--format", "oci-archive"] if self._program == "podman" else []
        run([self._program, "save", *form, "--output", str(tar), ref], log)

    def push(self, image: Image, remote: str, log: Path) -> None:
        """Push by the engine, which knows how to log in."""
        run([self._program, "tag", image.ref, remote], log)
        run([self._program, "push", remote], log)

    def forget(self, ref: str, log: Path) -> None:
        """Remove the image, unless somebody already did, or a container still uses it."""
        with suppress(BuildError):
            run([self._program, "rmi", ref], log)


def usable() -> EngineBuilder | None:
    """Return docker or podman if one of them runs here, and has or gets the base image."""
    for program in ("docker", "podman"):
        if shutil.which(program) and _succeeds(program, "info"):
            if _succeeds(program, "image", "inspect", BASE_IMAGE) or _succeeds(program, "pull", BASE_IMAGE):
                return EngineBuilder(program)
            print(f"images: {program} cannot pull {BASE_IMAGE}: building without it", file=sys.stderr, flush=True)
    return None


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
