"""Every line of the contract with vantage6 has a test, and no test speaks of a line that there is not."""

from collections import Counter
from typing import Any

from tests import contract

LINES = contract.lines()
MARKED = set(contract.marked())
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
