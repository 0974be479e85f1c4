"""Which NetworkPolicies of the namespace select a pod, which are not as the chart made them, and when they change.

Policies add up: one that an administrator adds, or a label that a template sets, can open what the chart's policies
shut.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from launcher.kubeapi import Tree
from launcher.runs import PREFIX

ROLE = f"{PREFIX}/role"
# Of these kinds an algorithm's pod has labels whose values differ from run to run: ours, and the Job controller's.
_OF_A_RUN = (f"{PREFIX}/", "batch.kubernetes.io/", "app.kubernetes.io/", "job-name", "controller-uid")


def selecting(policies: Iterable[Tree], labels: Mapping[str, str]) -> set[str]:
    """The names of the policies that select a pod with these labels."""
    return {policy["metadata"]["name"] for policy in policies if matches(policy["spec"].get("podSelector"), labels)}


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects these labels; an empty one selects everything.

    https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
    """
    selector = selector or {}
    equal = (selector.get("matchLabels") or {}).items()
    return all(labels.get(key) == value for key, value in equal) and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions") or ()
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return True  # an operator of a later Kubernetes: it may select, so it counts


def unexpected(
    policies: Iterable[Tree], expected: Mapping[str, Tree], kept: Collection[str], pod_labels: Mapping[str, str]
) -> list[str]:
    """Sentences on policies that may let algorithms out, or others in to them, and are not as the chart made them.

    No probe finds every such way: a policy may open a single address, or choose algorithms by a label of one run.

    Args:
        policies: as the API server has them.
        expected: what the chart says of algorithms: the policies' specs, by name.
        kept: names of those whose egress the launcher itself keeps.
        pod_labels: further labels that algorithms' pods may have.
    """
    found = {policy["metadata"]["name"]: policy["spec"] for policy in policies}
    sentences = []
    for name, spec in expected.items():
        without = {"egress"} if name in kept else set()
        if name not in found:
            sentences.append(f"The NetworkPolicy {name} is missing; `helm upgrade` restores it.")
        elif _said(found[name], without) != _said(spec, without):
            sentences.append(f"The NetworkPolicy {name} is not as the chart made it; `helm upgrade` restores it.")
    for name in sorted(found.keys() - expected.keys()):
        ways = [way for way in ("ingress", "egress") if found[name].get(way)]
        if ways and may_select_algorithms(found[name].get("podSelector"), pod_labels):
            sentences.append(
                f"The NetworkPolicy {name}, which is not the chart's, opens {' and '.join(ways)} for algorithms; "
                "remove it or have it select other pods: `node.whitelist` and a database's `reach` open ways."
            )
    return sentences


def may_select_algorithms(selector: Mapping[str, Any] | None, pod_labels: Mapping[str, str]) -> bool:
    """Whether a label selector may select the pod of an algorithm of some run."""

    def certain(key: str) -> bool:
        return key == ROLE or not (key.startswith(_OF_A_RUN) or key in pod_labels)

    selector = selector or {}
    equal = {key: value for key, value in (selector.get("matchLabels") or {}).items() if certain(key)}
    expressions = [each for each in selector.get("matchExpressions") or () if certain(each["key"])]
    return matches({"matchLabels": equal, "matchExpressions": expressions}, {ROLE: "algorithm"})


def _said(spec: Tree, without: Collection[str]) -> Tree:
    """What a spec says, without some of its keys; one that holds nothing says as much as one that is left out."""
    return {key: value for key, value in spec.items() if key not in without and value not in (None, [])}


def rules(policies: Iterable[Tree], kept: Collection[str]) -> dict[str, Any]:
    """What the policies say, by name: what a check of the isolation is valid for.

    Args:
        policies: as the API server has them.
        kept: names of those whose egress the launcher itself keeps; that part is left out.
    """
    said = {policy["metadata"]["name"]: dict(policy["spec"]) for policy in policies}
    for name in said.keys() & set(kept):
        said[name].pop("egress", None)
    return said
