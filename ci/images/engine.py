"""Images by the docker or podman that runs on this machine, with the base image the Dockerfiles name."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ci.images.offline import run
from ci.images.recipes import BuildError, Inputs


@dataclass(frozen=True)
class Builder:
    """docker or podman."""

    program: str

    def base_identity(self) -> str:
        """Return what distinguishes images built on this base from others."""
        return "the Dockerfile's own base image"

    def build(self, inputs: Inputs, ref: str, tar: Path, log: Path) -> None:
        """Build `ref` and write it to `tar`, an OCI archive; the program's output goes to the file `log`.

        Raises:
            BuildError: the program failed.
        """
        with TemporaryDirectory() as context:
            dockerfile = inputs.write(Path(context))
            run([self.program, "build", "--file", str(dockerfile), "--tag", ref, context], log)
        # docker's own format has been an OCI archive, too, since its version 25.
        form = ["--format", "oci-archive"] if self.program == "podman" else []
        run([self.program, "save", *form, "--output", str(tar), ref], log)

    def push(self, ref: str, remote: str, log: Path) -> None:
        """Push the built image `ref` to a registry as `remote`.

        Raises:
            BuildError: the registry does not take it.
        """
        run([self.program, "tag", ref, remote], log)
        run([self.program, "push", remote], log)

    def forget(self, ref: str, log: Path) -> None:
        """Remove an image and the layers that only it uses, if it is there."""
        try:
            run([self.program, "rmi", ref], log)
        except BuildError:
            return  # it was removed by hand, or a container still uses it


def running() -> Builder | None:
    """Return docker or podman if one of them works here."""
    for program in ("docker", "podman"):
        if (
            shutil.which(program)
            and subprocess.run([program, "info"], capture_output=True, check=False).returncode == 0
        ):
            return Builder(program)
    return None
