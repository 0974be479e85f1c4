"""An image out of buildah's store as an OCI archive (https://specs.opencontainers.org/image-spec), quickly.

buildah compresses all layers at every export. Here each layer is exported and compressed once, so that after a change
of source code only the small new layers cost anything, and the archive still is as small as one for a registry.
"""

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import time
from pathlib import Path
from typing import Any

_FORGET_AFTER = 14 * 24 * 3600  # seconds since a layer was last part of an archive
_REF_NAME = "org.opencontainers.image.ref.name"


class Layers:
    """The layers exported so far: raw ones in the OCI layout `layout`, and beside it the same compressed."""

    def __init__(self, home: Path) -> None:
        self.layout = home / "layout"
        self._raw = self.layout / "blobs" / "sha256"
        self._compressed = home / "compressed"

    def expect_one_image(self) -> None:
        """Forget which images were exported, but not their layers: the next one will be the only one in the index."""
        (self.layout / "index.json").unlink(missing_ok=True)

    def write(self, ref: str, tar: Path) -> None:
        """Write the one image in the layout's index to the archive `tar`, to be known as `ref` where it is imported."""
        (entry,) = json.loads((self.layout / "index.json").read_text())["manifests"]
        manifest = json.loads(self._raw_blob(entry["digest"]).read_text())
        blobs = [self._raw_blob(manifest["config"]["digest"])]
        for layer in manifest["layers"]:
            file = self._compress(self._raw_blob(layer["digest"]))
            layer.update(mediaType="application/vnd.oci.image.layer.v1.tar+gzip", size=file.stat().st_size)
            layer["digest"] = _digest(file)
            blobs.append(file)
        content = json.dumps(manifest).encode()
        entry.update(
            digest=f"sha256:{hashlib.sha256(content).hexdigest()}", size=len(content), annotations={_REF_NAME: ref}
        )
        with tarfile.open(tar, "w") as archive:
            _add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
            _add(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
            _add(archive, _path(entry["digest"]), content)
            for blob, descriptor in zip(blobs, [manifest["config"], *manifest["layers"]], strict=True):
                archive.add(blob, _path(descriptor["digest"]))
        self._clean()

    def _raw_blob(self, digest: str) -> Path:
        blob = self._raw / digest.removeprefix("sha256:")
        os.utime(blob)
        return blob

    def _compress(self, raw: Path) -> Path:
        """Return the compressed layer; level 1, because it is written once and read once."""
        self._compressed.mkdir(exist_ok=True)
        target = self._compressed / f"{raw.name}.gz"
        if not target.exists():
            partial = target.with_suffix(".partial")
            # No name and time in the header: the same layer is the same file everywhere.
            with (
                raw.open("rb") as source,
                partial.open("wb") as file,
                gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=1, mtime=0) as packer,
            ):
                shutil.copyfileobj(source, packer, 1 << 20)
            partial.rename(target)
        os.utime(target)
        return target

    def _clean(self) -> None:
        for file in (*self._raw.iterdir(), *self._compressed.iterdir()):
            if time.time() - file.stat().st_mtime > _FORGET_AFTER:
                file.unlink()


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"


def _path(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def manifest_digest(tar: Path) -> str:
    """Return the digest of the one image in an OCI archive, `sha256:…`."""
    with tarfile.open(tar) as archive:
        index = archive.extractfile("index.json")
        manifests: list[dict[str, Any]] = json.load(index)["manifests"] if index else []
    return str(manifests[0]["digest"])
