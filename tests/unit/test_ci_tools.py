"""The tools' folder: what is pinned, what is unpacked, what people are told where it cannot work."""

import io
import re
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import pytest

from ci import tools
from ci.tools import golang, wheels


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("V6_NODE_TOOLS", raising=False)


def layer_wheel(folder: Path, members: dict[str, bytes]) -> Path:
    """A wheel built the way the AWS CDK builds those with helm and kubectl."""
    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    package = io.BytesIO()
    with tarfile.open(fileobj=package, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/lib/layer.zip")
        entry.size = len(layer.getvalue())
        archive.addfile(entry, io.BytesIO(layer.getvalue()))
    wheel = folder / "some-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("some/_jsii/some@1.0.jsii.tgz", package.getvalue())
    return wheel


def put_programs(target: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (target / name).write_text("#!/bin/sh\n")
        (target / name).chmod(0o755)


def test_programs_come_out_of_a_wheel_under_their_new_names_and_can_be_run(tmp_path: Path) -> None:
    wheel = layer_wheel(tmp_path, {"helm/helm": b"#!/bin/sh\necho helm", "kubectl/kubectl": b"other"})
    wheels.unpack(wheel, {"helm/helm": "helm3"}, tmp_path)
    assert (tmp_path / "helm3").read_bytes() == b"#!/bin/sh\necho helm"
    assert (tmp_path / "helm3").stat().st_mode & 0o777 == 0o755
    assert not (tmp_path / "kubectl").exists()


def test_a_wheel_without_the_program_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    wheel = layer_wheel(tmp_path, {"helm/helm": b""})
    with pytest.raises(wheels.WheelError, match=r"some-1\.0.*kubectl.*wheels\.lock"):
        wheels.unpack(wheel, {"helm/helm": "helm", "kubectl/kubectl": "kubectl"}, tmp_path)
    assert list(tmp_path.iterdir()) == [wheel]


def test_every_wheel_used_is_pinned_with_a_hash() -> None:
    lines = [line for line in (tools.HERE / "wheels.lock").read_text().splitlines() if not line.startswith("#")]
    pinned = {re.split("==", line)[0].replace("-", "_") for line in lines}
    assert pinned == set(wheels.CONTENT)
    assert all(re.search(r"==\S+ --hash=sha256:[0-9a-f]{64}$", line) for line in lines)
    assert {name for members in wheels.CONTENT.values() for name in members.values()} == set(wheels.PROGRAMS)


def test_every_go_program_is_a_tool_of_the_module() -> None:
    block = re.search(r"tool \((.*?)\)", (tools.HERE / "go.mod").read_text(), re.DOTALL)
    assert block
    assert {line.rpartition("/")[2] for line in block[1].split()} == set(golang.PROGRAMS)


def test_helm_does_not_wait_for_the_go_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "install", lambda _, target: put_programs(target, wheels.PROGRAMS))
    monkeypatch.setattr(golang, "install", lambda *_: pytest.fail("Go was called"))
    assert {file.name for file in tools.bin_dir().iterdir()} == set(wheels.PROGRAMS)


def test_many_callers_install_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def install(_: Path, target: Path) -> None:
        calls.append(target)
        time.sleep(0.2)
        put_programs(target, wheels.PROGRAMS)

    monkeypatch.setattr(wheels, "install", install)
    callers = [threading.Thread(target=tools.bin_dir) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(calls) == 1


def test_a_given_folder_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_programs(tmp_path, wheels.PROGRAMS)
    monkeypatch.setenv("V6_NODE_TOOLS", str(tmp_path))
    assert tools.bin_dir() == tmp_path
    with pytest.raises(tools.ToolsError, match=r"lacks ct, helm-docs, helm-unittest.*V6_NODE_TOOLS"):
        tools.bin_dir(go_tools=True)


def test_another_kind_of_machine_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    with pytest.raises(tools.ToolsError, match=r"not Linux arm64: set V6_NODE_TOOLS .* helm, helm3, kubectl"):
        tools.bin_dir()


def test_without_go_one_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "install", lambda _, target: put_programs(target, wheels.PROGRAMS))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(tools.ToolsError, match="install Go"):
        tools.bin_dir(go_tools=True)
