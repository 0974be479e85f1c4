"""Each mistake in values is refused, under both helms, with one complaint that names the key."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import MINIMAL, complaints, merged, template

KEY = "11111111-2222-4333-8444-555555555555"
MISTAKES = yaml.safe_load((Path(__file__).parent / "mistakes.yaml").read_text())


def test_without_a_mistake_nothing_is_refused(helm: str):
    assert template(helm, MINIMAL).returncode == 0


def test_there_are_at_least_twenty_different_mistakes():
    assert len({one["mistake"] for one in MISTAKES}) == len(MISTAKES) >= 20


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one["mistake"])
def test_is_refused(mistake: dict[str, Any], helm: str):
    done = template(helm, merged(MINIMAL, mistake["values"]))

    assert done.returncode != 0
    assert done.stdout == ""
    [complaint] = complaints(done.stderr)
    if "says" in mistake:
        assert complaint.startswith(mistake["key"])
        assert mistake["says"] in complaint
        assert complaint.endswith(".")
    else:
        assert mistake["key"] in complaint
        assert mistake.get("unknown", "") in complaint


def test_all_mistakes_are_told_at_once(helm: str):
    values = {"node": {"server_url": "a", "api_path": "b", "api_key": "not a key"}}
    keys = [complaint.split()[0] for complaint in complaints(template(helm, values).stderr)]
    assert keys == ["node.api_key", "node.server_url", "node.api_path"]


@pytest.mark.parametrize("existing", ["", "v6-node-key"])
@pytest.mark.parametrize("key", [KEY, "almost-a-key"])
def test_a_refusal_does_not_show_the_key(helm: str, key: str, existing: str):
    done = template(helm, {"node": {"server_url": "wrong", "api_key": key}, "existingSecret": existing})
    assert done.returncode != 0
    assert key not in done.stdout + done.stderr
