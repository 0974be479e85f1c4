"""Which policies select a pod: what Kubernetes says of label selectors."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.networkpolicies import matches, rules, selecting

KEYS, VALUES = st.sampled_from("abc"), st.sampled_from("xyz")
LABELS = st.dictionaries(KEYS, VALUES)


def policy(name: str, selector: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"podSelector": selector or {}, **spec}}


def expression(operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": "a", "operator": operator, **({"values": list(values)} if values else {})}]}


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ({}, {}, True),
        (None, {"a": "x"}, True),
        ({"matchLabels": {"a": "x"}}, {"a": "x", "b": "y"}, True),
        ({"matchLabels": {"a": "x"}}, {"a": "y"}, False),
        ({"matchLabels": {"a": "x", "b": "y"}}, {"a": "x"}, False),
        (expression("In", "x", "y"), {"a": "y"}, True),
        (expression("In", "x", "y"), {}, False),
        (expression("NotIn", "x"), {"a": "y"}, True),
        (expression("NotIn", "x"), {}, True),
        (expression("NotIn", "x"), {"a": "x"}, False),
        (expression("Exists"), {"a": ""}, True),
        (expression("Exists"), {"b": ""}, False),
        (expression("DoesNotExist"), {"b": ""}, True),
        (expression("DoesNotExist"), {"a": ""}, False),
        (expression("OfALaterKubernetes"), {}, True),
    ],
)
def test_a_selector(selector: dict[str, Any] | None, labels: dict[str, str], expected: bool) -> None:
    assert matches(selector, labels) is expected


@given(LABELS, LABELS, LABELS)
def test_more_labels_never_lose_a_policy_that_asks_for_equality(
    selector: dict[str, str], labels: dict[str, str], more: dict[str, str]
) -> None:
    if matches({"matchLabels": selector}, labels):
        assert matches({"matchLabels": selector}, {**more, **labels})


@given(LABELS, st.lists(VALUES, min_size=1))
def test_in_and_not_in_are_opposites(labels: dict[str, str], values: list[str]) -> None:
    assert matches(expression("In", *values), labels) is not matches(expression("NotIn", *values), labels)


def test_labels_that_are_prefixes_of_each_other_are_two() -> None:
    db, db_prod = ({"matchLabels": {f"v6-node.vantage6.ai/database.{label}": "granted"}} for label in ("db", "db_prod"))
    policies = [policy("db", db), policy("db-prod", db_prod)]
    assert selecting(policies, {"v6-node.vantage6.ai/database.db": "granted"}) == {"db"}
    assert selecting(policies, {"v6-node.vantage6.ai/database.db_prod": "granted"}) == {"db-prod"}


def test_what_the_launcher_itself_keeps_is_no_change() -> None:
    one = [policy("kept", egress=[{"to": []}]), policy("fixed", egress=[])]
    two = [policy("kept", egress=[]), policy("fixed", egress=[])]
    assert rules(one, ["kept", "gone"]) == rules(two, ["kept", "gone"])
    assert rules(one, []) != rules(two, [])
    assert "egress" in one[0]["spec"], "the mirror's own objects stay as they are"
