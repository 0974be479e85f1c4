"""Servers beyond the cluster: programs of an image, run on this machine in a root folder of their own."""

import json
import os
import signal
import subprocess
import tarfile
from pathlib import Path
from types import TracebackType

from ci.images import Image

# The mounts are seen by the program alone, and end with it.
_ENTER = """
mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot --userspec=65532:65532 "$0" "$@"
"""


class Outside:
    """An image's file system, and what runs in it. It needs root, as the local cluster does.

    Args:
        image: with the programs.
        folder: where its files are unpacked, an empty one.
    """

    def __init__(self, image: Image, folder: Path) -> None:
        self.root = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self._log = folder.with_suffix(".log").open("wb")
        _unpack(image.tar, folder)

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        """Start a program, as a user without rights; it ends with this object."""
        process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "sh", "-c", _ENTER, str(self.root), *command],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"},
        )
        self._running.append(process)
        return process

    def stop(self, process: "subprocess.Popen[bytes]") -> None:
        """End a program at once, with everything that it started: it is the first process of a namespace."""
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        for child in children.split():  # `unshare` itself would leave it behind: it has become another user
            os.kill(int(child), signal.SIGKILL)
        process.wait()
        self._running.remove(process)

    def log(self) -> str:
        """Return what the programs said."""
        self._log.flush()
        return Path(self._log.name).read_text(errors="replace")

    def __enter__(self) -> "Outside":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in list(self._running):
            self.stop(process)
        self._log.close()


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the layers of the one image in an OCI archive. (None of ours removes a file of a lower layer.)"""
    with tarfile.open(archive) as outer:

        def blob(digest: str) -> tarfile.ExFileObject:
            found = outer.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert found is not None
            return found

        index = json.load(outer.extractfile("index.json"))  # type: ignore[arg-type]
        manifest = json.load(blob(index["manifests"][0]["digest"]))
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=blob(layer["digest"])) as inner:
                members = [member for member in inner if not Path(member.name).name.startswith(".wh.")]
                inner.extractall(folder, members=members, numeric_owner=True, filter="fully_trusted")
