"""The archive: what a cluster imports has to be whole, and quick to write again."""

import gzip
import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ci.images.archive import Layers, manifest_digest

REF = "localhost/thing:0123456789ab"


def put(layout: Path, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    folder = layout / "blobs" / "sha256"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / digest).write_bytes(content)
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": f"sha256:{digest}", "size": len(content)}


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    """A layout as an export leaves it: one image of two raw layers."""
    layers = Layers(tmp_path)
    manifest = {
        "schemaVersion": 2,
        "config": put(layers.layout, b'{"architecture": "amd64"}'),
        "layers": [put(layers.layout, b"base" * 1000), put(layers.layout, b"sources" * 1000)],
    }
    entry = put(layers.layout, json.dumps(manifest).encode()) | {"annotations": {"other": "x"}}
    (layers.layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return layers


def content_of(tar: Path) -> dict[str, bytes]:
    with tarfile.open(tar) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]


def test_every_digest_in_the_archive_is_true(layers: Layers, tmp_path: Path) -> None:
    layers.write(REF, tmp_path / "a.tar")
    files = content_of(tmp_path / "a.tar")
    blobs = {name: data for name, data in files.items() if name.startswith("blobs/")}
    assert all(hashlib.sha256(data).hexdigest() == name.removeprefix("blobs/sha256/") for name, data in blobs.items())
    (entry,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(files["blobs/" + entry["digest"].replace(":", "/")])
    named = [entry, manifest["config"], *manifest["layers"]]
    assert {"blobs/" + part["digest"].replace(":", "/"): part["size"] for part in named} == {
        name: len(data) for name, data in blobs.items()
    }
    assert manifest_digest(tmp_path / "a.tar") == entry["digest"]


def test_the_archive_holds_the_layers_compressed_under_the_name_that_pods_ask_for(
    layers: Layers, tmp_path: Path
) -> None:
    layers.write(REF, tmp_path / "a.tar")
    files = content_of(tmp_path / "a.tar")
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": REF}
    manifest = json.loads(files["blobs/" + entry["digest"].replace(":", "/")])
    assert {layer["mediaType"] for layer in manifest["layers"]} == {"application/vnd.oci.image.layer.v1.tar+gzip"}
    raw = [gzip.decompress(files["blobs/" + layer["digest"].replace(":", "/")]) for layer in manifest["layers"]]
    assert raw == [b"base" * 1000, b"sources" * 1000]


def test_a_layer_is_compressed_once_and_always_the_same(
    layers: Layers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers.write(REF, tmp_path / "a.tar")
    inodes = {file.name: file.stat().st_ino for file in (tmp_path / "compressed").iterdir()}
    layers.write(REF, tmp_path / "b.tar")
    assert {file.name: file.stat().st_ino for file in (tmp_path / "compressed").iterdir()} == inodes
    for file in (tmp_path / "compressed").iterdir():
        file.unlink()
    monkeypatch.setattr("time.time", lambda: 1_000_000_000.0)
    layers.write(REF, tmp_path / "c.tar")
    assert (
        manifest_digest(tmp_path / "a.tar")
        == manifest_digest(tmp_path / "b.tar")
        == manifest_digest(tmp_path / "c.tar")
    )


def test_layers_nobody_used_for_weeks_are_removed(layers: Layers, tmp_path: Path) -> None:
    blobs = layers.layout / "blobs" / "sha256"
    used = {file.name for file in blobs.iterdir()}
    old = blobs / put(layers.layout, b"old")["digest"].removeprefix("sha256:")
    os.utime(old, (0, 0))
    for file in blobs.iterdir():
        os.utime(file, (0, 0))  # what is used again must survive, whatever its age
    layers.write(REF, tmp_path / "a.tar")
    assert {file.name for file in blobs.iterdir()} == used
