"""The rules for Jobs as the API server holds them: each said, judged by dry runs with the launcher's own token."""

from typing import Any

from launcher.jobcontext import Context
from tests.chart.rendering import NAMESPACE, named, render
from tests.cluster.admission.conftest import BOUNDED, RESOURCES
from tests.cluster.admission.judge import Judge
from tests.stage.apisession import ApiSession
from tests.stage.node import Node
from tests.unit.broken_rules import CASES
from tests.unit.changed_job import BOX, POD, changed, rendered
from tests.unit.site_rules import COMPANION_CASES

NAMES = "v6-node-database-registry-names"
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"

# What only the launcher knows: what this very run is called, has earned and mounts.
NEEDS_THE_TASK = (
    "metadata.name",
    "metadata.labels.<v6-node",
    "metadata.annotations.<v6-node.vantage6.ai/assigned-at>",
    "metadata.ownerReferences.0.uid",
    f"{POD}.hostAliases",
    f"{BOX}.image",
    f"{BOX}.imagePullPolicy",
    f"{BOX}.volumeMounts",
    f"{BOX}.env",
)
# What the API server ignores, or takes for what it is.
HARMLESS = (
    "status",
    f"{POD}.somethingNew",
    f"{POD}.serviceAccount",
    f"{POD}.resources",
    f"{POD}.securityContext.fsGroupChangePolicy",
    f"{BOX}.restartPolicy",
    f"{POD}.terminationGracePeriodSeconds",
    f"{BOX}.workingDir",
    f"{BOX}.terminationMessagePolicy",
    f"{POD}.volumes.0.emptyDir.medium",
)
ABOVE_THE_CAPS = [("cpu", "9"), ("memory", "17Gi"), ("ephemeral-storage", "21Gi")]


def test_the_shipped_job_is_let_through(judge: Judge, facts: Context) -> None:
    assert judge.says(rendered(facts)) == ""


def test_a_companion_that_is_listed_is_let_through(judge: Judge, facts: Context) -> None:
    assert judge.says(changed(f"{POD}.containers.+", BOUNDED, facts)) == ""


def _is_image_volume(path: str, value: object) -> bool:
    """A cluster that has no image volumes drops them, with their mounts."""
    return path.startswith(f"{POD}.volumes") and isinstance(value, dict) and "image" in value


def test_what_breaks_a_rule_is_refused_unless_only_the_launcher_can_know(judge: Judge, facts: Context) -> None:
    judged = [
        (path, value)
        for path, value, _ in CASES
        if not path.startswith(NEEDS_THE_TASK + HARMLESS) and not _is_image_volume(path, value)
    ]
    assert [(path, value) for path, value in judged if not judge.says(changed(path, value, facts))] == []


def test_every_sentence_of_the_policy_is_said_of_some_manifest(judge: Judge, facts: Context, node: Node) -> None:
    said = {judge.denies(changed(path, value, facts)) for path, value, _ in CASES}
    said |= {judge.denies(changed(f"{POD}.containers.+", {**BOUNDED, **parts}, facts)) for parts, _ in COMPANION_CASES}
    said |= {judge.denies(changed(f"{BOX}.resources.limits.{name}", more, facts)) for name, more in ABOVE_THE_CAPS}
    said.add(judge.denies(changed(f"{POD}.containers.+", {**BOUNDED, "resources": RESOURCES}, facts)))
    claims = [{"name": "gpu", "resourceClaimTemplateName": "other"}]  # one without either is refused before any policy
    said.add(judge.denies(changed(f"{POD}.resourceClaims", claims, facts)))
    policy = named(render(node.values), "ValidatingAdmissionPolicy", f"v6-node-{NAMESPACE}-jobs")
    sentences = [each["message"] for each in policy["spec"]["validations"]]
    assert sentences
    assert [each for each in sentences if not any(each in denial for denial in said)] == []


def test_a_granted_device_is_the_algorithms_up_to_that_number(judge: Judge, facts: Context) -> None:
    device = "limits.<example.org/device>"
    assert "up to that number" in judge.denies(changed(f"{BOX}.resources.{device}", 2, facts))
    assert "up to that number" in judge.denies(changed(f"{BOX}.resources.limits.<example.org/other>", 1, facts))
    both = changed(f"{POD}.containers.+", BOUNDED, facts)
    assert judge.says(both) == ""
    both["spec"]["template"]["spec"]["containers"][1]["resources"] = RESOURCES
    assert "other containers have no device" in judge.denies(both)


def test_of_its_policies_the_launcher_changes_only_where_databases_are(
    judge: Judge, session: ApiSession, node: Node
) -> None:
    del judge  # both policies act by then
    path = f"/apis/networking.k8s.io/v1/namespaces/{node.namespace}/networkpolicies/{NAMES}"
    port = [{"protocol": "TCP", "port": 5432}]

    def patch(**spec: Any) -> str:
        wanted = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": NAMES}}
        return session.ask("PATCH", f"{path}?fieldManager=test&force=true", wanted | {"spec": spec}, kind=APPLY).message

    assert patch(egress=[{"to": [{"ipBlock": {"cidr": "203.0.113.9/32"}}], "ports": port}]) == ""
    assert patch(egress=[{"to": [{"ipBlock": {"cidr": "2001:db8::9/128"}}], "ports": port}]) == ""
    for wider in (
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": port},
        {"to": [{"ipBlock": {"cidr": "203.0.113.9/32"}}]},
        {"to": [{"ipBlock": {"cidr": "203.0.113.9/32"}}], "ports": [{"port": 1, "endPort": 65535}]},
        {"to": [{"podSelector": {}}], "ports": port},
        {"ports": port},
    ):
        assert "single addresses and ports" in patch(egress=[wider])
    assert "changes nothing of a policy" in patch(podSelector={"matchLabels": {"a": "b"}})
    assert "changes nothing of a policy" in patch(policyTypes=["Egress", "Ingress"], ingress=[{}])


def test_other_policies_are_not_the_launchers(session: ApiSession, node: Node) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{node.namespace}/networkpolicies"
    for name in ("v6-node-default-deny", "v6-node-algorithm", "v6-node-database-registry"):
        assert session.ask("PATCH", f"{path}/{name}", {"spec": {"egress": [{}]}}, kind=MERGE).status == 403
        assert session.ask("DELETE", f"{path}/{name}").status == 403
    assert session.ask("POST", path, {"metadata": {"name": "a"}, "spec": {"podSelector": {}}}).status == 403
