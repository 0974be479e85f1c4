"""Where the server's Python 3.10 is looked for, and what is said when there is none."""

from pathlib import Path

import pytest

from tests.stage import StageError, server_python


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without Python 3.10, whose uv can't get one."""

    def refuse(*arguments: str) -> str:
        raise StageError(f"uv {arguments} failed")

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setattr(server_python, "_uv", refuse)
    return tmp_path


def pretend(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


def test_without_any_the_remedy_is_one_sentence(bare: Path) -> None:
    with pytest.raises(StageError, match=r"needs Python 3\.10.*install python3\.10") as refusal:
        server_python.find_python()
    assert "\n" not in str(refusal.value)


def test_a_name_on_the_path_that_runs_another_version_is_passed_over(bare: Path) -> None:
    pretend(bare / "python3.10", "3.12")
    found = pretend(bare / "pyenv/versions/3.10.13/bin/python3.10", "3.10")
    assert server_python.find_python() == found


def test_uv_is_asked_last(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def provide(*arguments: str) -> str:
        asked.append(arguments)
        return "/somewhere/python3.10\n"

    monkeypatch.setattr(server_python, "_uv", provide)
    assert server_python.find_python() == Path("/somewhere/python3.10")
    assert [words[:2] for words in asked] == [("python", "install"), ("python", "find")]
