"""Talks to the node's containerd with its own client, ctr, run in the node's mount namespace."""

import subprocess
from pathlib import Path

from ci.cluster import images, processes
from ci.cluster.configuration import CONTAINERD_SOCKET
from ci.cluster.errors import ClusterError
from ci.cluster.places import INSIDE, Home


def ready(home: Home) -> bool:
    """Whether it answers, on every machine."""
    return all(_ctr(home, socket, "version").returncode == 0 for socket in _sockets(home))


def load(home: Home, tars: list[Path]) -> list[str]:
    """Import OCI archives on every machine, but those whose images are there; returns the names of the images imported.

    Raises:
        ClusterError: naming the archive that containerd refused, and its reason.
    """
    return list(dict.fromkeys(name for socket in _sockets(home) for name in _load(home, socket, tars)))


def _sockets(home: Home) -> list[Path]:
    """Where the first machine sees the socket of each."""
    return [INSIDE / state.relative_to(home.state) / CONTAINERD_SOCKET.name for state in home.states]


def _present(home: Home, socket: Path) -> dict[str, str]:
    """The images that pods can use: name -> digest."""
    result = _ctr(home, socket, "images", "list")
    if result.returncode != 0:
        raise ClusterError(f"containerd does not list its images: {_message(result)}")
    rows = [line.split() for line in result.stdout.decode().splitlines()[1:]]
    return {row[0]: row[2] for row in rows if len(row) > 2}


def _load(home: Home, socket: Path, tars: list[Path]) -> list[str]:
    have = _present(home, socket)
    imported: list[str] = []
    for tar in tars:
        holds = images.contents(tar)
        if holds and all(have.get(name) == digest for name, digest in holds.items()):
            continue
        with tar.open("rb") as archive:
            result = _ctr(home, socket, "images", "import", "-", archive=archive.fileno())
        if result.returncode != 0:
            raise ClusterError(f"containerd cannot import {tar}: {_message(result)}")
        imported += holds or [tar.name]
    return imported


def _ctr(
    home: Home, socket: Path, *arguments: str, archive: int = subprocess.DEVNULL
) -> subprocess.CompletedProcess[bytes]:
    enter = ["nsenter", f"--target={processes.found(home).pid}", "--mount"]
    return subprocess.run(
        [*enter, "ctr", f"--address={socket}", "--namespace=k8s.io", *arguments],
        stdin=archive,
        capture_output=True,
        check=False,
    )


def _message(result: subprocess.CompletedProcess[bytes]) -> str:
    return result.stderr.decode(errors="replace").strip()
