"""The small images: what is in them, and that they are the same each time."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ci.cluster.errors import ClusterError
from ci.cluster.images import SmallImage, contents


@pytest.fixture
def image(tmp_path: Path) -> SmallImage:
    (tmp_path / "tool").write_bytes(b"\x7fELF and so on")
    return SmallImage("localhost/tool:1", {"bin/tool": tmp_path / "tool"}, ["/bin/tool"], links={"bin/t": "tool"})


def blobs(tar: Path) -> dict[str, bytes]:
    with tarfile.open(tar) as archive:
        return {m.name: file.read() for m in archive.getmembers() if (file := archive.extractfile(m))}


def by(descriptor: dict[str, Any], files: dict[str, bytes]) -> bytes:
    """The blob a descriptor points at, which has the digest and size that it says."""
    blob = files["blobs/" + descriptor["digest"].replace(":", "/")]
    assert "sha256:" + hashlib.sha256(blob).hexdigest() == descriptor["digest"]
    assert len(blob) == descriptor["size"]
    return blob


def test_everything_is_reachable_from_the_index_with_right_digests(image: SmallImage, tmp_path: Path) -> None:
    image.write(tmp_path / "image.tar")
    files = blobs(tmp_path / "image.tar")
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(by(entry, files))
    config = json.loads(by(manifest["config"], files))
    layer = by(manifest["layers"][0], files)
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()]
    assert config["config"]["Entrypoint"] == ["/bin/tool"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        members = {member.name: member for member in archive.getmembers()}
    assert members["bin/tool"].mode == 0o755
    assert (members["bin/t"].issym(), members["bin/t"].linkname) == (True, "tool")
    assert members["tmp"].mode == 0o1777


def test_the_same_programs_make_the_same_bytes(image: SmallImage, tmp_path: Path) -> None:
    image.write(tmp_path / "one.tar")
    image.write(tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_an_archive_tells_what_it_holds(image: SmallImage, tmp_path: Path) -> None:
    image.write(tmp_path / "image.tar")
    (entry,) = json.loads(blobs(tmp_path / "image.tar")["index.json"])["manifests"]
    assert contents(tmp_path / "image.tar") == {"localhost/tool:1": entry["digest"]}


def test_what_is_no_archive_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    for file in ("notes.txt", "missing.tar"):
        with pytest.raises(ClusterError, match=f"{file} is not an OCI archive: .+"):
            contents(tmp_path / file)


def test_an_archive_of_another_kind_tells_nothing(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "docker.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("manifest.json"))
    assert contents(tmp_path / "docker.tar") == {}
