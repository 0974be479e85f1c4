"""Every line of the contract with vantage6 has a test, and no test speaks of a line that there is not."""

import sys
from collections import Counter
from pathlib import Path
from subprocess import run as start
from typing import Any

from tests import contract

LINES = contract.lines()
MARKED = set(contract.marked())
ROOT = Path(__file__).parents[2]
REAL_SERVER = ("server/", "cluster/")


def is_held(entry: dict[str, Any]) -> bool:
    """By a test with a real server; or by any, if no server sees anything of it."""
    tests = [test for line, test in MARKED if line == entry["line"]]
    return any(entry.get("pure") or test.startswith(REAL_SERVER) for test in tests)


def test_lines_are_named_once():
    assert [line for line, times in Counter(entry["line"] for entry in LINES).items() if times > 1] == []


def test_every_line_is_held_by_a_test_or_is_marked_as_open():
    assert [entry["line"] for entry in LINES if not is_held(entry) and not entry.get("open")] == []


def test_no_line_that_is_held_is_marked_as_open():
    """With the first test of a line its `open: true` goes."""
    assert [entry["line"] for entry in LINES if is_held(entry) and entry.get("open")] == []


def test_every_marker_names_a_line():
    known = {entry["line"] for entry in LINES}
    assert {line: test for line, test in MARKED if line not in known} == {}


def test_a_report_shows_lines_what_they_say_tests_and_outcomes_also_of_several_processes():
    tried = "tests/unit/test_docs_configuration.py"
    done = start(
        [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", tried],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    (entry,) = (entry for entry in LINES if entry["line"] == "§15 keys")
    shown = done.stdout.partition("the contract with vantage6")[2].splitlines()
    at = shown.index(f"§15 keys: {entry['says']}")
    assert "    passed  unit/test_docs_configuration.py::test_every_key_has_a_home_or_a_refusal" in shown[at + 1 :]
    assert f"1 of {len(LINES)} lines were tried" in shown
