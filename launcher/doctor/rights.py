"""Whether who installs the node may make what it consists of: no I/O here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from launcher.doctor.findings import Finding, fail, ok, warn
from launcher.doctor.wishes import Wishes

CHECK = "rights"
_WRITE = ("get", "create", "patch", "delete")
_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"

MADE = {
    "": ("secrets", "configmaps", "services", "serviceaccounts", "persistentvolumeclaims"),
    "apps": ("statefulsets", "deployments"),
    "networking.k8s.io": ("networkpolicies",),
    _RBAC: ("roles", "rolebindings"),
}
"""What the chart makes in the namespace, whatever the values are."""
LAUNCHERS = (
    ("batch", "jobs", ("get", "list", "watch", "create", "delete")),
    ("", "pods", ("list", "watch")),
    ("", "pods/log", ("get",)),
    ("networking.k8s.io", "networkpolicies", ("list", "watch")),
    ("", "events", ("list", "watch", "create")),
    ("", "serviceaccounts", ("get",)),
)
"""The launcher's own rights (templates/launcher/role.yaml): nobody may grant what they don't have
(https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping)."""
LOOKED_AT = (
    ("", "pods", ("get", "list")),
    ("", "pods/log", ("get",)),
    ("", "pods/exec", ("get", "create")),
    ("", "events", ("list",)),
)
"""What `up`, `status` and `logs` look at."""


@dataclass(frozen=True, slots=True)
class Right:
    """What one may want to be allowed."""

    verb: str
    group: str
    resource: str
    why: str
    everywhere: bool = False
    """Whether it is about the cluster and not about the namespace."""

    @property
    def attributes(self) -> dict[str, str]:
        """For a SelfSubjectAccessReview, without the namespace."""
        resource, _, part = self.resource.partition("/")
        found = {"verb": self.verb, "group": self.group, "resource": resource}
        return found | ({"subresource": part} if part else {})


INSTALL, LAUNCH, LOOK, CLUSTER = "install", "launch", "look", "cluster"


def wanted(wishes: Wishes, *, namespace_there: bool) -> tuple[Right, ...]:
    """Everything that an administrator has to be allowed, to install a node with these values."""
    groups = {group: list(kinds) for group, kinds in MADE.items()}
    if wishes.disruption_budget:
        groups["policy"] = ["poddisruptionbudgets"]
    if wishes.monitors:
        groups["monitoring.coreos.com"] = list(wishes.monitors)
    if wishes.quota:
        groups[""].append("resourcequotas")
    found = [Right(verb, group, kind, INSTALL) for group, kinds in groups.items() for kind in kinds for verb in _WRITE]
    found += [Right(verb, group, kind, LAUNCH) for group, kind, verbs in LAUNCHERS for verb in verbs]
    found += [Right("escalate", _RBAC, "roles", "escalate")]
    found += [Right(verb, group, kind, LOOK) for group, kind, verbs in LOOKED_AT for verb in verbs]
    if not namespace_there:
        found.append(Right("create", "", "namespaces", "namespace", everywhere=True))
    if wishes.host_paths:
        found += [Right(verb, "", "persistentvolumes", CLUSTER, everywhere=True) for verb in _WRITE]
    if wishes.admission:
        kinds = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
        found += [Right(verb, _ADMISSION, kind, CLUSTER, everywhere=True) for kind in kinds for verb in _WRITE]
    return tuple(found)


def judge(answers: Mapping[Right, bool], namespace: str) -> list[Finding]:
    """What the API server's answers amount to."""
    refused = [right for right, allowed in answers.items() if not allowed]
    may_escalate = any(allowed for right, allowed in answers.items() if right.why == "escalate")
    lacking = [right for right in refused if right.why == INSTALL or (right.why == LAUNCH and not may_escalate)]
    findings = []
    if any(right.why == "namespace" for right in refused):
        remedy = (
            f"have the cluster's administrator make it: `kubectl create namespace {namespace}` and `kubectl label "
            f"namespace {namespace} pod-security.kubernetes.io/enforce=restricted`, and grant you the rights in it"
        )
        findings.append(fail(CHECK, f"There is no namespace {namespace}, and you may not make one.", remedy))
    if lacking:
        sentence = f"In namespace {namespace} you may not: {_listed(lacking)}."
        findings.append(fail(CHECK, sentence, _bind(namespace)))
    if beyond := [right for right in refused if right.why == CLUSTER]:
        sentence = f"In the cluster you may not: {_listed(beyond)}."
        remedy = (
            "have the cluster's administrator install the node, or grant that; databases may also be in claims "
            "(`claim`), and admissionPolicy.enabled may be false"
        )
        findings.append(fail(CHECK, sentence, remedy))
    if blind := [right for right in refused if right.why == LOOK]:
        sentence = f"`v6-node status`, `logs` and `up` show less, as you may not: {_listed(blind)}."
        findings.append(warn(CHECK, sentence, _bind(namespace)))
    if not findings:
        findings.append(ok(CHECK, f"You may install a node in namespace {namespace}."))
    return findings


def _bind(namespace: str) -> str:
    return (
        "have the cluster's administrator grant it, for example by `kubectl create rolebinding v6-node-administrator "
        f"-n {namespace} --clusterrole=admin --user=<you>`"
    )


def _listed(rights: Iterable[Right]) -> str:
    """Rights for a person: verbs by kind."""
    verbs: dict[str, list[str]] = {}
    for right in rights:
        kind = f"{right.resource}.{right.group}" if right.group else right.resource
        if right.verb not in verbs.setdefault(kind, []):
            verbs[kind].append(right.verb)
    return "; ".join(f"{', '.join(each)} {kind}" for kind, each in verbs.items())


def review(right: Right, namespace: str) -> dict[str, Any]:
    """The question to the API server."""
    attributes = right.attributes | ({} if right.everywhere else {"namespace": namespace})
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        # The API server names its answer to nobody.
        "metadata": {},
        "spec": {"resourceAttributes": attributes},
    }
