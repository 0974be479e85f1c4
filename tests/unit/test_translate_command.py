"""The command `translate`: what it reads, what it writes, and what it says where it can't."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from launcher.__main__ import app
from launcher.translate.source import LARGEST, Unreadable, configuration

GOOD = {
    "api_key": "11111111-2222-4333-8444-555555555555",
    "server_url": "https://vantage6.example.org",
    "port": 443,
    "api_path": "/api",
    "databases": None,
    "encryption": {"enabled": False},
}


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(app, ["translate", *map(str, arguments)])


def written(folder: Path, content: Any = GOOD) -> Path:
    file = folder / "node.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return file


def test_values_are_all_of_standard_output(tmp_path: Path):
    done = run(written(tmp_path))
    assert done.exit_code == 0
    assert yaml.safe_load(done.stdout)["node"] == GOOD | {"databases": []}
    assert "api_key" in done.stderr
    assert GOOD["api_key"] not in done.stderr


def test_files_are_for_their_owner_alone(tmp_path: Path):
    values, secrets = tmp_path / "values.yaml", tmp_path / "secrets.yaml"
    done = run(written(tmp_path), "-o", values, "--secrets", secrets, "--namespace", "north")
    assert (done.exit_code, done.stdout) == (0, "")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (values, secrets)} == {0o600}
    assert yaml.safe_load(secrets.read_text())["metadata"] == {"name": "v6-node-key", "namespace": "north"}
    assert yaml.safe_load(values.read_text())["existingSecret"] == "v6-node-key"
    assert f"kubectl apply -f {secrets}" in values.read_text()


@pytest.mark.parametrize("there", ["values.yaml", "secrets.yaml"])
def test_nothing_is_overwritten_and_nothing_half_done_stays(tmp_path: Path, there: str):
    (tmp_path / there).write_text("mine")
    file = written(tmp_path)
    done = run(file, "-o", tmp_path / "values.yaml", "--secrets", tmp_path / "secrets.yaml")
    assert done.exit_code == 2
    assert f"{tmp_path / there} can't be written (File exists), so nothing was" in done.stderr
    assert (tmp_path / there).read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["node.yaml", there])


def test_where_values_can_not_be_written_no_secrets_stay(tmp_path: Path):
    done = run(written(tmp_path), "-o", tmp_path / "missing" / "values.yaml", "--secrets", tmp_path / "secrets.yaml")
    assert done.exit_code == 2
    assert "missing" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["node.yaml"]


def test_one_file_can_not_be_both(tmp_path: Path):
    done = run(written(tmp_path), "-o", tmp_path / "one.yaml", "--secrets", tmp_path / "one.yaml")
    assert done.exit_code == 2
    assert "File exists" in done.stderr
    assert not (tmp_path / "one.yaml").exists()


@pytest.mark.parametrize(("option", "name"), [("--namespace", "North"), ("--node-name", "a b")])
def test_names_that_kubernetes_does_not_have_are_refused(tmp_path: Path, option: str, name: str):
    done = run(written(tmp_path), option, name)
    assert (done.exit_code, done.stdout) == (2, "")
    assert name in done.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("api_key: a\nport: [443\nserver_url: x\n", "node.yaml, line 3: it is not YAML"),
        ("api_key: a\n\tport: 443\n", "line 2: it is not YAML"),
        ("password: *Geheim\n", "line 1: it is not YAML"),
        ("password: !Geheim x\n", "line 1: it is not YAML"),
        ("a: 1\n---\nb: 2\n", "line 2: it is not YAML"),
        ("a: 2026-02-31\n", "YAML does not allow"),
        ("a: &a [*a]\n", "YAML does not allow"),
        ("[" * 5000, "YAML does not allow"),
        ('a: "\\ud800"\n', "UTF-8"),
        ("", "has no keys"),
        ("- a\n", "has no keys"),
        ("#" * (LARGEST + 1), "more than"),
    ],
)
def test_what_is_no_configuration_is_refused_in_a_sentence(tmp_path: Path, content: str, says: str):
    done = run(written(tmp_path, content), "-o", tmp_path / "values.yaml")
    assert (done.exit_code, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert says in line
    assert line.endswith(".")
    assert "Geheim" not in line
    assert not (tmp_path / "values.yaml").exists()


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path: Path):
    (tmp_path / "latin").write_bytes(b"a: \xe9\n")
    for name, says in {"nothing": "No such file", "latin": "UTF-8", ".": "directory"}.items():
        done = run(tmp_path / name)
        assert done.exit_code == 2
        assert says in done.stderr


@pytest.mark.parametrize(
    ("tree", "part"),
    [
        (GOOD, ""),
        ({"application": GOOD}, "application"),
        ({"application": {}, "environments": {"dev": None, "prod": GOOD}}, "environments.prod"),
        ({"dev": {}, "acc": GOOD}, "acc"),
    ],
)
def test_the_one_configuration_of_a_file_is_found(tree: dict[str, Any], part: str):
    assert configuration(tree, "node.yaml") == (GOOD, part)


def test_what_is_beside_the_form_of_vantage6_3_is_not_forgotten():
    assert configuration({"application": GOOD, "extra": 1}, "node.yaml") == ({"extra": 1} | GOOD, "application")


@pytest.mark.parametrize(
    ("tree", "filled"),
    [
        ({"application": GOOD, "environments": {"test": GOOD}}, "application, environments.test"),
        ({"application": {}, "environments": {}}, "none"),
    ],
)
def test_several_configurations_or_none_are_refused(tree: dict[str, Any], filled: str):
    with pytest.raises(Unreadable, match=f"filled: {filled}.; keep one"):
        configuration(tree, "node.yaml")


def test_a_key_that_is_a_folder_or_a_pipe_is_not_read(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ".", "/dev/zero"):
        (tmp_path / "secrets.yaml").unlink(missing_ok=True)
        content = GOOD | {"encryption": {"enabled": True, "private_key": name}}
        done = run(written(tmp_path, content), "--secrets", tmp_path / "secrets.yaml")
        assert done.exit_code == 1
        assert "its file can't be read here" in done.stderr
