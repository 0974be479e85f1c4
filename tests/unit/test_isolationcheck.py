"""What a check's table says about the isolation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.isolationcheck import ALL, CAME_THROUGH, NONE, NotRunnable, _rows, judge
from launcher.waysout import OPEN, WAYS

SHUT_WORDS = ["timed out", "refused", "unreachable", "unresolved", "forbidden", "absent", "read-only", "no socket"]


def row(name: str, observed: str) -> dict[str, Any]:
    return {"name": name, "target": "203.0.113.10 443", "observed": observed}


def table(**observed: str) -> list[dict[str, Any]]:
    """All ways as they should be, but those given."""
    usual = {way.name: "connected" if way.expected == OPEN else "timed out" for way in WAYS}
    return [row(name, word) for name, word in {**usual, **observed}.items()]


def test_all_as_it_should_be() -> None:
    rows = table()
    verdict = judge(rows, rows, ())
    assert (verdict.passed, verdict.reason, verdict.accepted) == (True, "", [])


@pytest.mark.parametrize("way", [way for way in WAYS if way.expected != OPEN], ids=lambda way: way.name)
@pytest.mark.parametrize("word", sorted(CAME_THROUGH))
def test_any_way_that_is_open_is_named(way: Any, word: str) -> None:
    rows = table(**{way.name: word})
    verdict = judge(rows, rows, ())
    assert not verdict.passed
    assert verdict.reason.startswith(f"Algorithms reach what they must not: {way.what} ({way.name}, ")


def test_it_is_said_when_only_tasks_with_databases_get_out() -> None:
    rows = [{**each, "databases": NONE} for each in table()]
    rows += [{**each, "databases": ALL} for each in table(**{"internet-ipv4": "connected"})]
    reason = judge(rows, rows, ()).reason
    assert reason.startswith("Algorithms of tasks with databases reach what they must not: a host beyond the cluster")


@pytest.mark.parametrize("word", SHUT_WORDS)
def test_a_proxy_that_does_not_answer_is_a_failure(word: str) -> None:
    rows = table(proxy=word)
    assert judge(rows, rows, ()).reason.startswith("Algorithms don't reach the node's proxy")


def test_what_the_pod_has_no_address_for_is_neither() -> None:
    rows = table(**{"internet-ipv6": "n/a"})
    assert judge(rows, rows, ()).passed


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_only_some_ways_can_be_accepted(way: Any) -> None:
    rows = table(**{way.name: "connected"})
    verdict = judge(rows, rows, (way.name,))
    assert verdict.passed is (way.acceptable or way.expected == OPEN)
    assert verdict.accepted == ([way.name] if way.acceptable else [])


@given(st.lists(st.sampled_from(table()), max_size=40))
def test_other_rows_than_asked_for_never_pass(rows: list[dict[str, Any]]) -> None:
    asked = table()
    assert judge(asked, rows, ()).passed is ([each["name"] for each in rows] == [each["name"] for each in asked])


@pytest.mark.parametrize("answer", [b"", b"null", b"3", b"[1]", b"[{}]", b"\xff", b'{"observed": "connected"}'])
def test_an_answer_that_is_no_table(answer: bytes) -> None:
    with pytest.raises(NotRunnable, match="no table"):
        _rows(answer)
