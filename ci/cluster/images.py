"""Writes small container images: an OCI archive of one layer, the same bytes each time, without any image tool.

The format is the OCI image layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md) in a tar
file, which ``ctr images import`` reads. Meant for images of a few static programs; see ``ci/images`` for real ones.
"""

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci.cluster.errors import ClusterError

_FOLDERS = {"bin": 0o755, "etc": 0o755, "tmp": 0o1777, "home": 0o755, "var": 0o755}
_TEXTS = {
    "etc/passwd": "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    "etc/group": "root:x:0:\nnobody:x:65534:\n",
}
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class SmallImage:
    """An image of static programs.

    ``programs`` maps a path in the image to the file put there, ``links`` a path to what it points at.
    """

    ref: str
    programs: dict[str, Path]
    entrypoint: list[str]
    links: dict[str, str] = field(default_factory=dict)
    user: str = ""

    def write(self, tar: Path) -> None:
        """Write the image as an OCI archive to ``tar``."""
        layer = self._layer()
        config = _json(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Entrypoint": self.entrypoint, "Env": ["PATH=/bin"], "User": self.user},
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            }
        )
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _descriptor(_CONFIG, config),
                "layers": [_descriptor(_LAYER, layer)],
            }
        )
        names = {"io.containerd.image.name": self.ref, "org.opencontainers.image.ref.name": self.ref}
        index = {"schemaVersion": 2, "manifests": [_descriptor(_MANIFEST, manifest) | {"annotations": names}]}
        with tarfile.open(tar, "w") as archive:
            _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
            for blob in (layer, config, manifest):
                _add(archive, "blobs/" + _digest(blob).replace(":", "/"), blob)
            _add(archive, "index.json", _json(index))

    def _layer(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as layer:
            for name, mode in _FOLDERS.items():
                layer.addfile(_entry(name, mode, tarfile.DIRTYPE))
            for name, text in _TEXTS.items():
                _add(layer, name, text.encode())
            for name, source in self.programs.items():
                _add(layer, name, source.read_bytes(), 0o755)
            for name, target in self.links.items():
                link = _entry(name, 0o777, tarfile.SYMTYPE)
                link.linkname = target
                layer.addfile(link)
        return buffer.getvalue()


def contents(tar: Path) -> dict[str, str]:
    """What an OCI archive holds: image name -> manifest digest. Empty where the archive does not say.

    Raises:
        ClusterError: when it is no archive of images at all.
    """
    try:
        with tarfile.open(tar) as archive:
            index = archive.extractfile("index.json") if "index.json" in archive.getnames() else None
            entries = json.load(index)["manifests"] if index else []  # an older docker archive has none
    except (OSError, tarfile.TarError, ValueError, KeyError) as error:
        raise ClusterError(f"{tar} is not an OCI archive: {str(error).splitlines()[0].rstrip(':')}") from error
    found = {}
    for entry in entries:
        annotations = entry.get("annotations", {})
        name = annotations.get("io.containerd.image.name") or annotations.get("org.opencontainers.image.ref.name")
        if name:
            found[name] = entry["digest"]
    return found


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _entry(name: str, mode: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.type = mode, kind
    return entry


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = _entry(name, mode)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))
