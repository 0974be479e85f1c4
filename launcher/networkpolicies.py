"""Which NetworkPolicies of the namespace select a pod, and when they change.

Policies add up: one that an administrator adds, or a label that a template sets, can open what the chart's policies
shut.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from launcher.kubeapi import Tree


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
