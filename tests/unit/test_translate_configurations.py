"""Real configuration files: what each becomes, what is said of it, and that nothing secret is said."""

import re
from pathlib import Path

import pytest

from launcher.algorithmenv import encode
from tests.unit.configurations import NAMES, expected, translated

LINE = re.compile(
    r"\S+: (.*?)(?:(?<!,) \"[^\"]*\"|(?<!,) \S+)?: (taken in another form|left out|to be filled in); .+\."
)


def reported(text: str) -> list[list[str]]:
    return [list(found.groups()) for found in map(LINE.fullmatch, text.splitlines()) if found]


def plain(name: str, texts: dict[str, str], folder: Path) -> dict[str, str]:
    """What a Secret holds, with names for the keys that were made for this test."""
    files = {(folder / "keys" / key).read_text(): key for key in ("organization.pem", "tunnel")}
    return {key: f"<{files[text]}>" if text in files else text for key, text in texts.items()}


def test_there_are_enough():
    assert len(NAMES) >= 15


@pytest.mark.parametrize("name", NAMES)
def test_it_becomes_what_it_has_to(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    wanted = expected(name)
    code, values, secrets = translated(name, tmp_path)
    said = capsys.readouterr()
    assert values == wanted["values"]
    found = {key: plain(name, one["stringData"], tmp_path) for key, one in secrets.items()}
    coded = {
        key: {field: encode(text) for field, text in texts.items()} if key.startswith("database-") else texts
        for key, texts in wanted.get("secrets", {}).items()
    }
    assert found == coded
    assert reported(said.err) == wanted["report"]
    assert (code, said.out) == (wanted["code"], "")


@pytest.mark.parametrize("name", NAMES)
def test_the_report_has_no_secret(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    translated(name, tmp_path)
    said = capsys.readouterr().err
    for secret in ("11111111", "Geheim", "Vertrouwelijk", "ghp_", "PRIVATE KEY-----"):
        assert secret not in said
    for secret in ("Geheim", "Vertrouwelijk"):
        comments = [line for line in (tmp_path / "values.out").read_text().splitlines() if "#" in line]
        assert not [line for line in comments if secret in line.partition("#")[2]]


@pytest.mark.parametrize("name", [name for name in NAMES if "secrets" in expected(name).get("options", [])])
def test_with_secrets_asked_for_the_values_have_none(name: str, tmp_path: Path):
    translated(name, tmp_path)
    text = (tmp_path / "values.out").read_text()
    assert not [secret for secret in ("11111111", "Geheim", "Vertrouwelijk", "ghp_") if secret in text]


@pytest.mark.parametrize("name", NAMES)
def test_every_place_to_be_filled_in_is_marked_where_it_is(name: str, tmp_path: Path):
    translated(name, tmp_path)
    marked = re.findall(r"# Fill in[^:]*: (\S+)", (tmp_path / "values.out").read_text())
    wanted = [key for key, done in expected(name)["report"] if done == "to be filled in"]
    assert sorted(key.rstrip(":") for key in marked) == sorted(wanted)
