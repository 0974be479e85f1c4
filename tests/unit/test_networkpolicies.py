"""Which policies select a pod: what Kubernetes says of label selectors."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.networkpolicies import matches, may_select_algorithms, rules, selecting, unexpected

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


ROLE = "v6-node.vantage6.ai/role"
OF_A_RUN = "v6-node.vantage6.ai/run-id"


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"matchLabels": {ROLE: "algorithm"}}, True),
        ({"matchLabels": {ROLE: "proxy"}}, False),
        ({"matchLabels": {OF_A_RUN: "7"}}, True),
        ({"matchLabels": {OF_A_RUN: "7", ROLE: "proxy"}}, False),
        ({"matchLabels": {"app": "dashboard"}}, False),
        ({"matchLabels": {"team": "research"}}, True),
        ({"matchLabels": {"job-name": "run-7"}}, True),
        ({"matchLabels": {"batch.kubernetes.io/job-name": "run-7"}}, True),
        ({"matchExpressions": [{"key": ROLE, "operator": "NotIn", "values": ["algorithm"]}]}, False),
        ({"matchExpressions": [{"key": ROLE, "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": OF_A_RUN, "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]}, True),
    ],
)
def test_what_may_select_an_algorithm_of_some_run(selector: dict[str, Any], expected: bool) -> None:
    assert may_select_algorithms(selector, {"team": "research"}) is expected


CHART = {
    "deny": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    "names": {"podSelector": {"matchLabels": {ROLE: "algorithm"}}, "policyTypes": ["Egress"]},
}
ANYWHERE = [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]


def found(**changed: Any) -> list[dict[str, Any]]:
    specs = {**CHART, **changed}
    return [{"metadata": {"name": name}, "spec": spec} for name, spec in specs.items() if spec is not None]


def surprises(**changed: Any) -> list[str]:
    return unexpected(found(**changed), CHART, ["names"], {})


def test_the_charts_policies_surprise_nobody() -> None:
    assert surprises() == []
    assert surprises(names={**CHART["names"], "egress": ANYWHERE}) == [], "that part is the launcher's"
    assert surprises(deny={**CHART["deny"], "ingress": []}) == [], "an empty list says nothing"


def test_others_that_shut_or_that_concern_other_pods_surprise_nobody() -> None:
    assert surprises(more={"podSelector": {}, "policyTypes": ["Egress"]}) == []
    assert surprises(more={"podSelector": {"matchLabels": {ROLE: "proxy"}}, "egress": ANYWHERE}) == []


@pytest.mark.parametrize("way", ["ingress", "egress"])
def test_one_that_opens_something_for_a_run_is_named(way: str) -> None:
    (sentence,) = surprises(more={"podSelector": {"matchLabels": {OF_A_RUN: "7"}}, way: [{}]})
    assert sentence.startswith(f"The NetworkPolicy more, which is not the chart's, opens {way} for algorithms;")


def test_one_that_is_missing_or_changed_is_named() -> None:
    assert surprises(deny=None) == ["The NetworkPolicy deny is missing; `helm upgrade` restores it."]
    for changed in ({**CHART["deny"], "egress": ANYWHERE}, {**CHART["deny"], "policyTypes": ["Ingress"]}):
        assert surprises(deny=changed) == [
            "The NetworkPolicy deny is not as the chart made it; `helm upgrade` restores it."
        ]
    elsewhere = {**CHART["names"], "podSelector": {}}
    assert "names is not as the chart made it" in surprises(names=elsewhere)[0]
