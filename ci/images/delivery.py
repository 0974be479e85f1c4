"""Bringing images to where a cluster's nodes find them."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from ci.images.builder import Builder, Image
from ci.images.recipes import BuildError
from ci.tools import bin_dir


class Cluster(Protocol):
    """What is asked of a `ci.cluster.Cluster`."""

    @property
    def kubeconfig(self) -> Path:
        """The file that says how to reach it."""

    @property
    def local(self) -> bool:
        """Whether it is one that `ci.cluster` made, which imports archives."""

    def load(self, tars: list[Path]) -> None:
        """Import those archives that it does not have yet."""


def deliver(cluster: Cluster, images: dict[str, Image], builder: Builder, log: Path) -> dict[str, Image]:
    """Make `images` available to `cluster` and return them with the references that pods have to use there.

    Raises:
        BuildError: there is no way to bring images to this cluster, or the way failed.
    """
    if cluster.local:
        cluster.load([image.tar for image in images.values()])
        return images
    registry = os.environ.get("V6_NODE_REGISTRY", "").rstrip("/")
    if registry:
        return {name: _pushed(image, registry, builder, log) for name, image in images.items()}
    present = _present(cluster)
    missing = [image.tar for image in images.values() if image.ref not in present]
    if missing:
        _load_into_kind(cluster, missing)
    return images


def _pushed(image: Image, registry: str, builder: Builder, log: Path) -> Image:
    remote = f"{registry}/{image.ref.removeprefix('localhost/')}"
    builder.push(image, remote, log)
    return replace(image, ref=remote)


def _present(cluster: Cluster) -> set[str]:
    """Return the references of images that every node says it has; what they say is up to ten seconds old."""
    nodes = json.loads(_kubectl(cluster, "get", "nodes", "--output=json"))["items"]
    held = [{name for image in node["status"].get("images", ()) for name in image.get("names", ())} for node in nodes]
    return set.intersection(*held) if held else set()


def _load_into_kind(cluster: Cluster, tars: list[Path]) -> None:
    context = _kubectl(cluster, "config", "current-context").strip()
    if not context.startswith("kind-") or shutil.which("kind") is None:
        raise BuildError(
            f"The cluster of context {context!r} has to pull its images: set V6_NODE_REGISTRY to a registry that you "
            "may push to and the cluster may pull from, for instance registry.example.org/v6."
        )
    for tar in tars:
        command = ["kind", "load", "image-archive", str(tar), "--name", context.removeprefix("kind-")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BuildError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")


def _kubectl(cluster: Cluster, *arguments: str) -> str:
    command = [str(bin_dir() / "kubectl"), f"--kubeconfig={cluster.kubeconfig}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"kubectl {' '.join(arguments)} with {cluster.kubeconfig} failed: {done.stderr.strip()}")
    return done.stdout
