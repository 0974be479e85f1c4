"""Who reaches whom, and that every rule says so in words."""

import re
from pathlib import Path

import yaml

from launcher.networkpolicies import selecting
from tests.chart.rendering import case, pods, render, render_text

ROLE = "v6-node.vantage6.ai/role"


def _policies(text: str) -> list[str]:
    return [document for document in text.split("\n---\n") if "\nkind: NetworkPolicy\n" in document]


def test_every_rule_is_preceded_by_its_direction(case_file: Path, helm: str):
    texts = _policies(render_text(case(case_file), helm))
    assert len(texts) >= 5
    for text in texts:
        policy = yaml.safe_load(text)["spec"]
        subject = policy["podSelector"].get("matchLabels", {}).get(ROLE)
        into, out = len(policy.get("ingress", [])), len(policy.get("egress", []))
        said = re.findall(r"^    # (.+) --> (.+)\n    - ", text, re.MULTILINE)
        assert len(said) == into + out
        assert all(target == subject for _, target in said[:into])
        assert all(source == subject for source, _ in said[into:])


def test_no_rule_is_open_to_everybody(case_file: Path):
    for policy in (one["spec"] for one in render(case(case_file)) if one["kind"] == "NetworkPolicy"):
        assert policy["policyTypes"] == ["Ingress", "Egress"] or "ingress" not in policy
        for rule in policy.get("ingress", []):
            assert rule["from"]
            assert rule["ports"]
        for rule in policy.get("egress", []):
            assert rule["ports"]
            assert all(peer for peer in rule.get("to", []))


def test_an_algorithm_that_asks_for_nothing_is_selected_by_two_policies_only(case_file: Path):
    policies = [one for one in render(case(case_file)) if one["kind"] == "NetworkPolicy"]
    assert selecting(policies, {ROLE: "algorithm"}) == {"v6-node-algorithm", "v6-node-default-deny"}


def test_the_policies_select_the_pods_that_exist(case_file: Path):
    found = render(case(case_file))
    selected = {
        one["spec"]["podSelector"]["matchLabels"][ROLE]
        for one in found
        if one["kind"] == "NetworkPolicy" and one["spec"]["podSelector"]
    }
    assert selected == {*pods(found), "algorithm"}
