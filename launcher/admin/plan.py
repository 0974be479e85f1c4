"""What `up` will bring into the cluster, decided before it begins: no I/O here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from launcher.admin.cluster import MANAGED, encoded
from launcher.kubeapi import Tree
from launcher.translate.credentials import KEY_SECRET
from launcher.translate.findings import Done, Finding, Place
from launcher.translate.node import Translation

ENFORCE = "pod-security.kubernetes.io/enforce"
RESTRICTED = "restricted"


@dataclass(frozen=True, slots=True)
class Plan:
    """Values and Secrets, what is said of them, and what keeps them from being of use."""

    values: dict[str, Any]
    secrets: tuple[Tree, ...]
    reported: tuple[Finding, ...]
    """What has no equivalent, or another form."""
    missing: tuple[Finding, ...]
    """What has to be filled in first."""


def plan(made: Translation, extra: Sequence[Mapping[str, Any]], there: Iterable[str]) -> Plan:
    """What to bring of a translated configuration.

    Args:
        made: the translation, with its secrets in manifests.
        extra: further values, the last of which win; what they give need not be filled in.
        there: names of the Secrets that the namespace has.
    """
    values = merged({"taskVolume": {"keep": True}}, made.values)
    usable = set(there) - set(made.secrets)
    missing = []
    for finding in made.findings:
        if finding.done is not Done.FILL_IN or any(gives(each, finding.place) for each in extra):
            continue
        if finding.place[-1:] == ("existingSecret",):
            name = at(values, finding.place) or KEY_SECRET
            if name in usable:
                values = _with(values, finding.place, name)
                continue
        missing.append(finding)
    secrets = tuple(_managed(each) for each in made.secrets.values())
    reported = tuple(finding for finding in made.findings if finding.done is not Done.FILL_IN)
    return Plan(values, secrets, reported, tuple(missing))


def gives(values: Mapping[str, Any], place: Place) -> bool:
    """Whether values have something at a place, as helm merges them: a list stands for all of its entries."""
    found: Any = values
    for step in place:
        if not isinstance(found, Mapping):
            return True
        if step not in found:
            return False
        found = found[step]
    return True


def at(values: Any, place: Place) -> Any:
    """What values have at a place; None if there is nothing."""
    for step in place:
        try:
            values = values[step]
        except (KeyError, IndexError, TypeError):
            return None
    return values


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Values on values, as helm merges them: mappings key by key, everything else as a whole."""
    both = {
        key: merged(below[key], above[key])
        for key in below.keys() & above.keys()
        if isinstance(below[key], Mapping) and isinstance(above[key], Mapping)
    }
    return {**below, **above, **both}


def _with(values: Any, place: Place, value: object) -> Any:
    if not place:
        return value
    step, *rest = place
    if isinstance(values, list) and isinstance(step, int):
        return [_with(each, tuple(rest), value) if index == step else each for index, each in enumerate(values)]
    inner = values.get(step, {}) if isinstance(values, Mapping) else {}
    return {**values, step: _with(inner, tuple(rest), value)}


def _managed(secret: Tree) -> Tree:
    """A Secret of the translation as it is applied."""
    texts = secret["stringData"]
    rest = {key: value for key, value in secret.items() if key != "stringData"}
    return rest | {"metadata": {**secret["metadata"], "labels": dict(MANAGED)}, "data": encoded(texts)}


class NamespaceStep(Enum):
    """What becomes of the node's namespace."""

    MAKE = auto()
    LABEL = auto()
    LEAVE = auto()


def namespace_step(namespace: Tree | None, others: Iterable[str]) -> tuple[NamespaceStep, str]:
    """What to do about the namespace, and a sentence for the administrator, if there is something to say.

    Args:
        namespace: as the API server shows it; None: there is none.
        others: names of pods in it that are not the node's, which a stricter level might keep from starting again.
    """
    if namespace is None:
        return NamespaceStep.MAKE, ""
    name = namespace["metadata"]["name"]
    level = (namespace["metadata"].get("labels") or {}).get(ENFORCE)
    command = f"kubectl label namespace {name} {ENFORCE}={RESTRICTED} --overwrite"
    if level == RESTRICTED:
        return NamespaceStep.LEAVE, ""
    if level:
        return NamespaceStep.LEAVE, (
            f'Namespace {name} enforces the Pod Security Standard "{level}"; the node keeps "{RESTRICTED}", and '
            f"`{command}` has the cluster hold it too."
        )
    if strangers := sorted(others):
        return NamespaceStep.LEAVE, (
            f"Namespace {name} enforces no Pod Security Standard and has other pods ({', '.join(strangers[:3])}); a "
            f"node wants a namespace of its own, on which `{command}` is safe."
        )
    return NamespaceStep.LABEL, f'Namespace {name} enforces the Pod Security Standard "{RESTRICTED}" from now on.'


def only_machine(machines: Sequence[Tree]) -> str | None:
    """The name by which volumes are tied to the cluster's only machine; None if there are several, or none."""
    if len(machines) != 1:
        return None
    meta = machines[0]["metadata"]
    return str((meta.get("labels") or {}).get("kubernetes.io/hostname") or meta["name"])
