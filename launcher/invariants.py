"""What every job keeps, whatever its template says: checked on the parsed manifest before anything is created.

The rules are tables, here for the Job and in `launcher.podrules`, `launcher.containerrules` and `launcher.mountrules`
for its pod; `launcher.rules` has their names. They are an allow-list: a field that no table names is refused by its
path. What the fields mean: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from launcher.allowlist import Named, Rule, Violation, below, exactly, fields, names, refused, single
from launcher.containerrules import announcements, lost_variables
from launcher.jobcontext import Context, RunFacts
from launcher.mountrules import mount_violations
from launcher.podrules import pod
from launcher.rules import MOUNTS, NETWORK, ONCE, OWNERSHIP, SHAPE
from launcher.runs import PREFIX
from launcher.waiting import QUEUE

OURS = f"{PREFIX}/"
# By these labels the chart's Services and NetworkPolicies choose pods: a job that wore them could pose as the proxy.
RESERVED_LABELS = (
    OURS,
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "batch.kubernetes.io/",
    QUEUE,
)
RESERVED_ANNOTATIONS = (OURS, "batch.kubernetes.io/")
KEPT_IN_PLACE = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}
"""What the shipped template asks autoscalers for; jobs.podAnnotations may say otherwise."""
POD_FAILURE_POLICY = {
    "rules": [
        {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": "algorithm", "operator": "NotIn", "values": [0]}},
    ]
}
EXECUTED_ONCE = "a run is executed once"
REASON_STAYS = "nothing is executed twice, and the reason of a failure stays on the Job"
ONE_JOB = "a template makes exactly one batch/v1 Job"
LABELS = "jobs.podLabels"
ANNOTATIONS = "jobs.podAnnotations"

Selecting = Callable[[Mapping[str, str]], set[str]]
"""Names the NetworkPolicies of the namespace that select a pod with given labels."""


class InvariantError(ValueError):
    """A rendered manifest breaks rules; the message has one sentence for each."""

    def __init__(self, broken: list[Violation], whose: str = "") -> None:
        super().__init__(whose + " ".join(violation.sentence for violation in broken))
        self.violations = broken


def check(
    manifest: dict[str, Any], context: Context, selecting: Selecting, place_of: Callable[[str], str] = lambda _: ""
) -> None:
    """Check a manifest that was rendered from `context`.

    Args:
        manifest: the parsed manifest.
        context: what it was rendered from.
        selecting: names the NetworkPolicies that select a pod with given labels.
        place_of: tells where in the administrator's template a path of the manifest was written; empty: not there.

    Raises:
        InvariantError: it breaks a rule.
    """
    if broken := violations(manifest, context, selecting):
        placed = [(violation, place_of(violation.path)) for violation in broken]
        raise InvariantError(
            [replace(each, sentence=f"{place}: {each.sentence}" if place else each.sentence) for each, place in placed]
        )


def violations(manifest: dict[str, Any], context: Context, selecting: Selecting) -> list[Violation]:
    """Everything that a manifest breaks and that is not waived.

    What connects its parts is looked at when each part by itself is right.
    """
    waived = context.profile.waived
    broken = [violation for violation in _job(context)("", manifest) if violation.rule not in waived]
    if not broken:
        spec = manifest["spec"]["template"]["spec"]
        variables = [*announcements(spec, context), *lost_variables(spec, context)]
        connections = [*variables, *_policies(manifest, context, selecting)]
        if MOUNTS not in waived:
            connections += mount_violations(spec, context)
        broken = [violation for violation in connections if violation.rule not in waived]
    return broken


def _policies(manifest: dict[str, Any], context: Context, selecting: Selecting) -> Iterator[Violation]:
    """Policies add up: no label beside our own may be one that a policy selects."""
    labels = manifest["spec"]["template"]["metadata"]["labels"]
    earned = {**context.run.labels, **context.isolation.labels}
    if more := selecting(labels) - selecting(earned):
        others = [key for key in labels if key not in earned]
        guilty = [key for key in others if selecting({**earned, key: labels[key]}) - selecting(earned)] or others
        path = below("spec.template.metadata.labels", guilty[0])
        why = f"the NetworkPolicy {min(more)} selects pods by it"
        yield refused(path, labels[guilty[0]], why, "remove the label, or have the policy select other pods", NETWORK)


def _job(context: Context) -> Rule:
    """Whose a job is, and that it is one and runs once."""
    return Named(
        SHAPE,
        fields(
            required={
                "apiVersion": Named(OWNERSHIP, exactly("batch/v1", ONE_JOB)),
                "kind": Named(OWNERSHIP, exactly("Job", ONE_JOB)),
                "metadata": Named(OWNERSHIP, _metadata(context)),
                "spec": Named(ONCE, _spec(context)),
            },
            closed_by=OWNERSHIP,
        ),
    )


def _metadata(context: Context) -> Rule:
    run, node, profile = context.run, context.node, context.profile
    return fields(
        required={
            "name": exactly(run.name, "a run's job has the run's name"),
            "namespace": exactly(node.namespace, "jobs live in the node's namespace"),
            "labels": names({**run.labels, **_queue(run)}, profile.pod_labels, LABELS, RESERVED_LABELS),
            "annotations": names(run.annotations, profile.pod_annotations, ANNOTATIONS, RESERVED_ANNOTATIONS),
            "ownerReferences": single(
                exactly(dict(node.owner), "uninstalling the node ends its jobs"), "a job has one owner"
            ),
        },
        reasons={"finalizers": "it would keep the job from being deleted", "generateName": EXECUTED_ONCE},
    )


def _queue(run: RunFacts) -> dict[str, str]:
    return {QUEUE: run.queue} if run.queue else {}


def _spec(context: Context) -> Rule:
    queued = {"suspend": exactly(True, "the queue lets a job go")}
    at_once = {"suspend": exactly(False, "a suspended job never starts")}
    pod_template = fields(required={"metadata": Named(NETWORK, _pod_metadata(context)), "spec": pod(context)})
    return fields(
        required={
            "backoffLimit": exactly(0, EXECUTED_ONCE),
            "podFailurePolicy": exactly(POD_FAILURE_POLICY, REASON_STAYS),
            "template": Named(SHAPE, pod_template),
            **(queued if context.run.queue else {}),
        },
        optional={
            "completions": exactly(1, EXECUTED_ONCE),
            "parallelism": exactly(1, EXECUTED_ONCE),
            "completionMode": exactly("NonIndexed", EXECUTED_ONCE),
            "podReplacementPolicy": exactly("Failed", REASON_STAYS),
            **({} if context.run.queue else at_once),
        },
        reasons={
            "activeDeadlineSeconds": "on the Job it deletes the pod and its log; the pod's spec has one",
            "ttlSecondsAfterFinished": "the launcher deletes a job when the server has its result",
        },
    )


def _pod_metadata(context: Context) -> Rule:
    run, profile = context.run, context.profile
    labels = {**run.labels, **context.isolation.labels}
    annotations = {**KEPT_IN_PLACE, **profile.pod_annotations}
    return fields(
        required={
            "labels": names(labels, profile.pod_labels, LABELS, RESERVED_LABELS),
            "annotations": names(run.annotations, annotations, ANNOTATIONS, RESERVED_ANNOTATIONS),
        },
        closed_by=OWNERSHIP,
    )
