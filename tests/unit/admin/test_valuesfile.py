"""Files with values: what is of no use, or what helm would drop, is refused before anything is looked at."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from launcher.__main__ import app
from launcher.admin import Failure
from launcher.admin.valuesfile import read_values, repeated
from tests.unit.admin.commands import Cluster, configuration

TWICE = "jobs:\n  tmpSizeLimit: 2Gi\nproxy: {replicas: 2}\njobs:\n  extraImages: []\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("a: {b: 1, c: 2}\nb: 1\n", []),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", [("a.b", 2, 4)]),
        ("a:\n  - {b: 1}\n  - b: 1\n    b: 2\n", [("a[1].b", 3, 4)]),
        ("a: 1\na: 2\na: 3\n", [("a", 1, 2), ("a", 1, 3)]),
    ],
)
def test_a_key_is_repeated_where_its_own_mapping_has_it_again(text: str, found: list[tuple[str, int, int]]):
    assert list(repeated(text)) == found


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a: [\n", ", line 2, is not YAML"),
        (b"a: 1\n---\nb: 2\n", ", line 2, is not YAML"),
        (b"a: \xff\n", " is not YAML (it is no text)"),
        (b"- a\n", " has no keys"),
        (TWICE.encode(), " has jobs twice, in lines 1 and 4, and helm drops the first"),
        (b"node:\n  port: 1\n  api_path: /\n  port: 2\n", " has node.port twice, in lines 2 and 4"),
        (None, " can't be read (No such file or directory)"),
    ],
)
def test_what_is_of_no_use_is_refused_in_a_sentence(content: bytes | None, says: str, tmp_path: Path):
    file = tmp_path / "values.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Failure) as caught:
        read_values(file)
    assert str(caught.value).startswith(f"{file}{says}") and str(caught.value).endswith(".")


def test_a_refusal_does_not_show_what_the_file_has(tmp_path: Path):
    file = tmp_path / "values.yaml"
    file.write_text("node:\n  api_key: *Secret\n")
    with pytest.raises(Failure) as caught:
        read_values(file)
    assert "Secret" not in str(caught.value)


def test_an_empty_file_has_no_values(tmp_path: Path):
    file = tmp_path / "values.yaml"
    file.write_text("# nothing yet\n")
    assert read_values(file) == {}


@pytest.mark.parametrize("command", ["up", "doctor", "render"])
def test_every_command_refuses_what_helm_would_drop(cluster: Cluster, tmp_path: Path, command: str):
    file = tmp_path / "pasted.yaml"
    file.write_text(TWICE)
    first = [str(configuration(tmp_path))] if command == "up" else []
    done = CliRunner().invoke(app, [command, *first, "-f", str(file)])
    assert done.exit_code != 0 and done.stdout == ""
    assert done.stderr.startswith(f"{file} has jobs twice, in lines 1 and 4, and helm drops the first")
    assert len(done.stderr.splitlines()) == 1
    assert not cluster.asked
