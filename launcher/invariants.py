"""What every job keeps, whatever its template says: checked on the parsed manifest before anything is created.

The rules are tables, here for the Job and in `launcher.podrules` and `launcher.mountrules` for its pod. They are an
allow-list: a field that no table names is refused by its path. What the fields mean:
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/.
"""

from typing import Any

from launcher.allowlist import Rule, Violation, exactly, fields, names, single
from launcher.jobcontext import Context
from launcher.mountrules import mount_violations
from launcher.podrules import announcements, pod
from launcher.runs import PREFIX

OURS = f"{PREFIX}/"
# By these labels the chart's Services and NetworkPolicies choose pods: a job that wore them could pose as the proxy.
RESERVED_LABELS = (
    OURS,
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "batch.kubernetes.io/",
)
# On these annotations other software gives a pod further networks, containers, secrets or weaker profiles.
RESERVED_ANNOTATIONS = (
    OURS,
    "container.apparmor.security.beta.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
    "seccomp.security.alpha.kubernetes.io/",
    "io.kubernetes.cri-o.",
    "k8s.v1.cni.cncf.io/",
    "v1.multus-cni.io/",
    "policy.cilium.io/",
    "linkerd.io/",
    "sidecar.istio.io/",
    "vault.hashicorp.com/",
)
POD_FAILURE_POLICY = {
    "rules": [
        {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": "algorithm", "operator": "NotIn", "values": [0]}},
    ]
}
ONCE = "a run is executed once"
REASON_STAYS = "nothing is executed twice, and the reason of a failure stays on the Job"
ONE_JOB = "a template makes exactly one batch/v1 Job"
LABEL_TAKEN = "Services, NetworkPolicies and the node choose pods by it"
ANNOTATION_TAKEN = "the node or other software acts on it"


class InvariantError(ValueError):
    """A rendered manifest breaks rules; the message has one sentence for each."""

    def __init__(self, broken: list[Violation]) -> None:
        super().__init__(" ".join(violation.sentence for violation in broken))
        self.violations = broken


def check(manifest: dict[str, Any], context: Context) -> None:
    """Check a manifest that was rendered from `context`.

    Raises:
        InvariantError: it breaks a rule.
    """
    if broken := violations(manifest, context):
        raise InvariantError(broken)


def violations(manifest: dict[str, Any], context: Context) -> list[Violation]:
    """Everything that a manifest breaks. What connects its parts is looked at when each part by itself is right."""
    broken = list(_job(context)("", manifest))
    if not broken:
        spec = manifest["spec"]["template"]["spec"]
        broken = [*mount_violations(spec, context), *announcements(spec, context)]
    return broken


def _job(context: Context) -> Rule:
    """Whose a job is, and that it is one and runs once."""
    run, node = context.run, context.node
    return fields(
        required={
            "apiVersion": exactly("batch/v1", ONE_JOB),
            "kind": exactly("Job", ONE_JOB),
            "metadata": fields(
                required={
                    "name": exactly(run.name, "a run's job has the run's name"),
                    "namespace": exactly(node.namespace, "jobs live in the node's namespace"),
                    "labels": names(run.labels, RESERVED_LABELS, LABEL_TAKEN),
                    "annotations": names(run.annotations, RESERVED_ANNOTATIONS, ANNOTATION_TAKEN),
                    "ownerReferences": single(
                        exactly(dict(node.owner), "uninstalling the node ends its jobs"), "a job has one owner"
                    ),
                },
                reasons={"finalizers": "it would keep the job from being deleted", "generateName": ONCE},
            ),
            "spec": fields(
                required={
                    "backoffLimit": exactly(0, ONCE),
                    "podFailurePolicy": exactly(POD_FAILURE_POLICY, REASON_STAYS),
                    "template": fields(required={"metadata": _pod_metadata(context), "spec": pod(context)}),
                },
                optional={
                    "completions": exactly(1, ONCE),
                    "parallelism": exactly(1, ONCE),
                    "completionMode": exactly("NonIndexed", ONCE),
                    "podReplacementPolicy": exactly("Failed", REASON_STAYS),
                    "suspend": exactly(False, "a suspended job never starts"),
                },
                reasons={
                    "activeDeadlineSeconds": "on the Job it deletes the pod and its log; the pod's spec has one",
                    "ttlSecondsAfterFinished": "the launcher deletes a job when the server has its result",
                },
            ),
        }
    )


def _pod_metadata(context: Context) -> Rule:
    labels = {**context.run.labels, **context.isolation.labels}
    return fields(
        required={
            "labels": names(labels, RESERVED_LABELS, LABEL_TAKEN),
            "annotations": names(context.run.annotations, RESERVED_ANNOTATIONS, ANNOTATION_TAKEN),
        },
    )
