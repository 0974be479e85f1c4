"""Every line of the contract with vantage6 has a test, and no test speaks of a line that there is not."""

from collections import Counter

from tests import contract

LINES = contract.lines()
MARKED = dict(contract.marked())


def test_lines_are_named_once():
    assert [line for line, times in Counter(entry["line"] for entry in LINES).items() if times > 1] == []


def test_every_line_has_a_test_or_is_marked_as_open():
    assert [entry["line"] for entry in LINES if entry["line"] not in MARKED and not entry.get("open")] == []


def test_no_line_with_a_test_is_marked_as_open():
    """With the first test of a line its `open: true` goes."""
    assert [entry["line"] for entry in LINES if entry["line"] in MARKED and entry.get("open")] == []


def test_every_marker_names_a_line():
    known = {entry["line"] for entry in LINES}
    assert {line: test for line, test in contract.marked() if line not in known} == {}
