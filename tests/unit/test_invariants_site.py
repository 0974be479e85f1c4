"""What the administrator's values change about the rules: caps, companions, waivers, and policies in the namespace."""

import copy
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from launcher.config import ConfigError, NodeConfig
from launcher.invariants import violations
from launcher.jobcontext import Context
from launcher.networkpolicies import selecting
from launcher.rules import NEVER_WAIVED, RULES, WAIVABLE
from tests.unit.broken_rules import CASES
from tests.unit.changed_job import BOX, COMPANION, GONE, POD, changed, nothing_selects, rendered
from tests.unit.example_context import context, profile
from tests.unit.site_rules import CAP_CASES, COMPANION_CASES, capped, claiming
from tests.unit.test_config import changed as configuration
from tests.unit.test_config import load

ALLOWED = context(profile=profile(extra_images=(COMPANION["image"],)))


def sentences(manifest: dict[str, Any], facts: Context) -> list[str]:
    return [violation.sentence for violation in violations(manifest, facts, nothing_selects)]


def companion(**parts: Any) -> dict[str, Any]:
    return {**copy.deepcopy(COMPANION), **parts}


@pytest.mark.parametrize(("caps", "path", "value", "says"), CAP_CASES)
def test_a_cap(caps: dict[str, Any], path: str, value: object, says: str) -> None:
    facts = capped(caps)
    assert sentences(rendered(facts), facts) == [], "exactly the cap is not above it"
    [sentence] = sentences(changed(path, value, facts), facts)
    for part in says.split(" .*"):
        assert part in sentence


def test_a_deadline_has_a_cap() -> None:
    facts = context(profile=profile(max_deadline_seconds=2592000))
    assert sentences(rendered(facts), facts) == []
    [sentence] = sentences(changed(f"{POD}.activeDeadlineSeconds", 2592001), facts)
    assert "activeDeadlineSeconds in the chart's values is 2592000" in sentence


@pytest.mark.parametrize("place", ["containers", "initContainers"])
def test_a_companion_that_is_listed_may_run(place: str) -> None:
    path = f"{POD}.{place}.+" if place == "containers" else f"{POD}.{place}"
    value: Any = companion() if place == "containers" else [companion(restartPolicy="Always"), companion(name="b")]
    assert sentences(changed(path, value), ALLOWED) == []


@pytest.mark.parametrize(("parts", "says"), COMPANION_CASES)
def test_a_companion_has_nothing_of_the_run(parts: dict[str, Any], says: str) -> None:
    found = sentences(changed(f"{POD}.containers.+", companion(**parts)), ALLOWED)
    assert any(says in sentence for sentence in found), found


def test_devices_of_the_algorithm_are_not_those_of_a_companion() -> None:
    resources = {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"memory": "1Gi", "nvidia.com/gpu": 1}}
    facts = context(profile=profile(resources=resources, extra_images=(COMPANION["image"],)))
    both = changed(f"{POD}.containers.+", companion(resources=resources), facts)
    [sentence] = sentences(both, facts)
    assert sentence.startswith("spec.template.spec.containers[1].resources.limits")


def test_devices_are_counted_against_the_cap_and_hugepages_are_not() -> None:
    limits = {"memory": "1Gi", "nvidia.com/gpu": 2, "hugepages-2Mi": "4Mi"}
    resources = {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": limits}
    facts = context(profile=profile(resources=resources, caps={"devices": 2}))
    assert sentences(rendered(facts), facts) == []
    fewer = context(profile=profile(resources=resources, caps={"devices": 1}))
    [sentence] = sentences(rendered(fewer), fewer)
    assert 'limits["nvidia.com/gpu"]: 2 is not allowed (jobs.caps in the chart\'s values allows 1)' in sentence
    assert sentence.endswith("; lower it, or raise the cap.")


def test_a_claim_is_that_of_the_profile() -> None:
    facts = claiming()
    assert sentences(rendered(facts), facts) == []
    for path in (f"{POD}.resourceClaims", f"{BOX}.resources.claims"):
        assert sentences(changed(path, GONE, facts), facts) == [], "a template may do without"
    mine = rendered(facts)["spec"]["template"]["spec"]["resourceClaims"]
    for path, value in [
        (f"{POD}.resourceClaims", [*mine, {"name": "more", "resourceClaimTemplateName": "one-gpu"}]),
        (f"{POD}.resourceClaims.0.resourceClaimTemplateName", "eight-gpus"),
        (f"{POD}.resourceClaims", [{"name": "gpu", "resourceClaimName": "another-s"}]),
        (f"{BOX}.resources.claims", [{"name": "gpu", "request": "other"}]),
    ]:
        [violation] = violations(changed(path, value, facts), facts, nothing_selects)
        assert violation.rule == "resources"
        assert "in the chart's values" in violation.sentence
        assert violation.sentence.endswith("; remove it from the template.")
    beside = companion(resources={**COMPANION["resources"], "claims": [{"name": "gpu"}]})
    [sentence] = sentences(changed(f"{POD}.containers.+", beside, facts), facts)
    assert sentence.startswith("spec.template.spec.containers[1].resources.claims is not allowed")


def test_a_priority_and_a_runtime_are_those_of_the_values() -> None:
    facts = context(profile=profile(priority_class_name="low", runtime_class_name="gvisor"))
    assert sentences(rendered(facts), facts) == []
    [sentence] = sentences(changed(f"{POD}.runtimeClassName", "runc", facts), facts)
    assert sentence.endswith("; use gvisor.")
    [sentence] = sentences(changed(f"{POD}.runtimeClassName", GONE, facts), facts)
    assert "runtimeClassName is missing" in sentence, "a sandbox that a template forgets is none"
    [sentence] = sentences(changed(f"{POD}.priorityClassName", "high", facts), facts)
    assert sentence.endswith("; set it to low.")


def test_a_critical_priority_is_refused_even_when_values_ask_for_it() -> None:
    facts = context(profile=profile(priority_class_name="system-node-critical"))
    [sentence] = sentences(rendered(facts), facts)
    assert "the cluster lives on" in sentence


def test_further_labels_and_annotations_are_exactly_those_of_the_values() -> None:
    facts = context(profile=profile(pod_labels={"team": "a"}, pod_annotations={"sidecar.istio.io/inject": "false"}))
    labels, annotations = "spec.template.metadata.labels", "spec.template.metadata.annotations"
    assert sentences(changed("metadata.labels.team", "a", facts), facts) == []
    assert sentences(changed(f"{labels}.team", GONE, facts), facts) == []
    [sentence] = sentences(changed(f"{labels}.team", "b", facts), facts)
    assert sentence.endswith('(jobs.podLabels in the chart\'s values says it); set it to "a".')
    [sentence] = sentences(changed(f"{annotations}.<sidecar.istio.io/inject>", "true", facts), facts)
    assert sentence.endswith('(jobs.podAnnotations in the chart\'s values says it); set it to "false".')


@pytest.mark.parametrize(
    "given",
    [
        {"pod_labels": {"v6-node.vantage6.ai/whitelist": "granted"}},
        {"pod_labels": {"app.kubernetes.io/name": "v6-node"}},
        {"pod_labels": {"app.kubernetes.io/instance": "v6-node"}},
        {"pod_labels": {"app.kubernetes.io/component": "proxy"}},
        {"pod_labels": {"batch.kubernetes.io/job-name": "run-1"}},
        {"pod_annotations": {"v6-node.vantage6.ai/x": "1"}},
    ],
    ids=str,
)
def test_values_give_no_name_that_the_node_goes_by(given: dict[str, Any]) -> None:
    run = replace(context().run, labels={"v6-node.vantage6.ai/run-id": "12"})
    facts = context(run=run, profile=profile(**given))
    [sentence] = sentences(rendered(facts), facts)
    assert "policies go by it); remove it from template and jobs.pod" in sentence


def policy(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"podSelector": {"matchLabels": labels}}}


def test_a_label_that_a_policy_selects_is_refused() -> None:
    policies = [policy("v6-node-algorithm", **{"v6-node.vantage6.ai/role": "algorithm"}), policy("open", team="a")]

    def which(labels: Mapping[str, str]) -> set[str]:
        return selecting(policies, labels)

    def found(**labels: str) -> list[Any]:
        facts = context(profile=profile(pod_labels=labels))
        return violations(rendered(facts), facts, which)

    assert found(team="b") == []
    assert found(colour="a") == []
    [violation] = found(colour="a", team="a")
    assert (violation.rule, violation.path) == ("network", "spec.template.metadata.labels.team")
    assert "the NetworkPolicy open selects pods by it" in violation.sentence


def test_labels_that_a_policy_selects_together_are_refused() -> None:
    def which(labels: Mapping[str, str]) -> set[str]:
        return selecting([policy("open", one="a", two="b")], labels)

    one = context(profile=profile(pod_labels={"one": "a"}))
    assert violations(rendered(one), one, which) == []
    both = context(profile=profile(pod_labels={"one": "a", "two": "b"}))
    [violation] = violations(rendered(both), both, which)
    assert "NetworkPolicy open" in violation.sentence


# The only waiver that may ever let something through at a place, said apart from the rules: the first that fits.
WAIVER_OF = [
    (r"\.volumes.*/projected|automount|serviceAccount|enableServiceLinks|/KUBERNETES_|env\.4\.name", "api-access"),
    (r"\.image$|imagePullPolicy|ephemeralContainers|containers\.\+|initContainers", "images"),
    (r"runAs[A-Z]\w*$|supplementalGroups$|fsGroup", "user"),
    (r"\.volumes.*/hostPath|\.host[A-Z]+\w*$|shareProcess|securityContext|ports|Probe|lifecycle", "pod-security"),
    (r"runtimeClassName", "pod-security"),
    (r"\.resources|resourceClaims|priority", "resources"),
    (r"volume|\.env|imagePullSecrets|terminationMessagePath", "mounts"),
    (r"activeDeadlineSeconds", "deadline"),
    (r"nodeName|somethingNew|stdin|tty|Gates", "fields"),
]


def waiver_of(path: str, value: object) -> str:
    """The waiver that may let a broken manifest through; empty if none may."""
    kinds = [key for key in value if key != "name"] if isinstance(value, dict) else []
    name = value.get("name", "") if isinstance(value, dict) else ""
    place = "".join(f"{path}/{what}\n" for what in [*kinds, name]) if isinstance(value, dict) else path
    if not path.startswith(POD):
        return ""
    return next((rule for pattern, rule in WAIVER_OF if re.search(pattern, place, re.MULTILINE)), "")


@pytest.mark.parametrize(("path", "value", "says"), CASES)
def test_a_waiver_lets_through_its_own_rule_alone(path: str, value: object, says: str) -> None:
    del says
    manifest = changed(path, value)
    [violation] = violations(manifest, context(), nothing_selects)
    assert violation.rule in RULES
    assert violation.rule in {*NEVER_WAIVED, waiver_of(path, value)}
    for name in WAIVABLE:
        facts = context(profile=profile(waived=frozenset({name})))
        assert (violations(manifest, facts, nothing_selects) == []) is (name == violation.rule)


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        (f"{POD}.volumes.+", {"name": "x", "projected": {"sources": [{"serviceAccountToken": {}}]}}, "api-access"),
        (f"{POD}.volumes.+", {"name": "x", "hostPath": {"path": "/"}}, "pod-security"),
        (f"{POD}.volumes.+", {"name": "x", "secret": {"secretName": "v6-node-secrets"}}, "mounts"),
        (f"{POD}.volumes.+", {"name": "x", "csi": {"driver": "secrets-store.csi.k8s.io"}}, "mounts"),
        (f"{POD}.volumes.+", {"name": "x", "not-invented-yet": {}}, "mounts"),
        (f"{BOX}.envFrom", [{"secretRef": {"name": "v6-node-secrets"}}], "mounts"),
        (f"{BOX}.volumeDevices", [{"name": "task", "devicePath": "/dev/a"}], "mounts"),
        (f"{BOX}.ports", [{"containerPort": 80, "hostPort": 80}], "pod-security"),
        (f"{BOX}.startupProbe", {"httpGet": {"host": "169.254.169.254", "port": 80}}, "pod-security"),
        (f"{BOX}.readinessProbe", {"tcpSocket": {"host": "169.254.169.254", "port": 80}}, "pod-security"),
        (f"{BOX}.securityContext.procMount", "Unmasked", "pod-security"),
        (f"{POD}.securityContext.fsGroup", 0, "user"),
        (f"{POD}.securityContext.fsGroupChangePolicy", "Always", "user"),
        (f"{POD}.resources", {"limits": {"memory": "1Ti"}}, "resources"),
        (f"{POD}.priority", 2000001000, "resources"),
        (f"{POD}.setHostnameAsFQDN", True, "network"),
        (f"{BOX}.restartPolicy", "Always", "once"),
        (f"{BOX}.restartPolicyRules", [{"action": "Restart"}], "once"),
        ("spec.managedBy", "example.org/other", "once"),
        ("spec.manualSelector", True, "once"),
        ("spec.template.metadata.namespace", "kube-system", "ownership"),
    ],
    ids=str,
)
def test_a_dangerous_field_is_let_through_by_the_waiver_of_its_danger_alone(
    path: str, value: object, rule: str
) -> None:
    manifest = changed(path, value)
    others = frozenset(WAIVABLE) - {rule}
    assert [each.rule for each in violations(manifest, context(profile=profile(waived=others)), nothing_selects)] == [
        rule
    ]


def test_every_rule_has_a_case() -> None:
    broken = {violations(changed(path, value), context(), nothing_selects)[0].rule for path, value, _ in CASES}
    assert broken == set(RULES)


@pytest.mark.parametrize("name", [*sorted(NEVER_WAIVED), "everything", ""])
def test_some_rules_cannot_be_waived(tmp_path: Any, name: str) -> None:
    with pytest.raises(ConfigError, match=r"kubernetes.jobs.waive.0: .* can't be used: .* choose from api-access, "):
        load(tmp_path, configuration("kubernetes.jobs", {"waive": [name]}))
    assert isinstance(load(tmp_path, configuration("kubernetes.jobs", {"waive": list(WAIVABLE)})), NodeConfig)
