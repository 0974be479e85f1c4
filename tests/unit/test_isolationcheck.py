"""What a check's table says about the isolation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.isolationcheck import ALL, CAME_THROUGH, NONE, NotRunnable, _but_databases, _rows, judge
from launcher.waysout import OPEN, WAYS, Surroundings, probes

SHUT_WORDS = ["timed out", "refused", "unreachable", "unresolved", "forbidden", "absent", "read-only", "no socket"]


def row(name: str, observed: str) -> dict[str, Any]:
    target = "2001:db8:203::10 443" if name.endswith("ipv6") else "203.0.113.10 443"
    return {"name": name, "target": target, "observed": observed}


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
@pytest.mark.parametrize("word", ["EMFILE", "n/a", "", "Connected", "HTTP 503"])
def test_a_word_that_proves_nothing_is_no_pass(way: Any, word: str) -> None:
    if (way.name.endswith("ipv6"), word) == (True, "n/a"):
        return
    rows = table(**{way.name: word})
    assert judge(rows, rows, ()).reason.startswith(f"Nothing can be said of {way.what} ({way.name}, ")


@given(st.lists(st.sampled_from([*SHUT_WORDS, *CAME_THROUGH, "n/a", "EMFILE"]), min_size=len(WAYS), max_size=len(WAYS)))
def test_it_passes_only_if_every_word_is_known(words: list[str]) -> None:
    rows = table(**dict(zip([way.name for way in WAYS], words, strict=True)))
    if judge(rows, rows, ()).passed:
        shut = [each["observed"] for each, way in zip(rows, WAYS, strict=True) if way.expected != OPEN]
        assert set(shut) <= {*SHUT_WORDS, "n/a"}


@pytest.mark.parametrize("way", ["metadata", "launcher", "kubelet", "internet-ipv4", "external-dns-udp"])
def test_a_refusal_by_what_nobody_else_reached_is_a_way_out(way: str) -> None:
    """A closed port refuses what has come through; unless the plugin refuses where we know somebody to listen."""
    rows = table(**{way: "refused"})
    verdict = judge(rows, rows, ())
    assert verdict.breached
    assert f"({way}, " in verdict.reason
    rows = table(**{way: "refused", "api-service": "refused"})
    assert judge(rows, rows, ()).passed


def test_a_database_without_pods_behind_its_service_is_no_way_out() -> None:
    rows = table(**{"other-database": "refused"})
    assert judge(rows, rows, ()).passed


def test_what_is_unexpected_fails_a_check_in_which_nobody_gets_out() -> None:
    rows = table()
    verdict = judge(rows, rows, (), ["The NetworkPolicy x is missing."])
    assert (verdict.passed, verdict.breached, verdict.reason) == (False, False, "The NetworkPolicy x is missing.")


def test_who_may_reach_a_database_is_not_asked_whether_it_does() -> None:
    here = Surroundings(proxy_port=80, outside=("203.0.113.10",), databases=(("203.0.113.10", 443), ("192.0.2.1", 1)))
    asked = probes(here, 2)
    left_out = [probe for probe in asked if probe not in _but_databases(asked, here)]
    assert [probe["name"] for probe in left_out] == ["other-database", "other-database", "internet-ipv4"]


def test_ways_that_nobody_tried_are_told() -> None:
    rows = [each for each in table() if each["name"] not in {"internet-ipv6", "icmp-ipv6"}]
    assert judge(rows, rows, ()).untried == ["internet-ipv6", "icmp-ipv6"]


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
