"""The shipped job, and the same with one place changed: what tests of the rules for jobs are about."""

import copy
import re
from collections.abc import Mapping
from typing import Any

from launcher.jobcontext import Context
from launcher.templates import JobTemplates
from tests.unit.example_context import SHIPPED, context

GONE = object()
POD = "spec.template.spec"
BOX = f"{POD}.containers.0"
COMPANION = {
    "name": "companion",
    "image": "example.org/companion:1",
    "imagePullPolicy": "IfNotPresent",
    "env": [{"name": name, "value": ""} for name in context().isolation.blank_variables],
    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
}
"""A container as an administrator may add one, where jobs.extraImages lists its image."""


def nothing_selects(_: Mapping[str, str]) -> set[str]:
    """A namespace without NetworkPolicies."""
    return set()


_TEMPLATES = JobTemplates(SHIPPED, None)
_manifests: dict[str, dict[str, Any]] = {}


def rendered(facts: Context) -> dict[str, Any]:
    """The shipped job, a copy of its own each time; rendered once for the same facts, which most cases share."""
    key = repr(facts)
    if key not in _manifests:
        _manifests[key] = _TEMPLATES.render("job.yaml.j2", facts)
    return copy.deepcopy(_manifests[key])


def changed(path: str, value: object, facts: Context | None = None) -> dict[str, Any]:
    """The shipped job with `value` at a dotted path; a number is a list's index, + its end."""
    manifest: Any = rendered(facts or context())
    *way, last = re.split(r"\.(?![^<]*>)", path)
    place = manifest
    for step in way:
        place = place[int(step) if step.isdigit() else step.strip("<>")]
    last = last.strip("<>")
    if value is GONE:
        del place[int(last) if last.isdigit() else last]
    elif last == "+":
        place.append(value)
    else:
        place[int(last) if last.isdigit() else last] = value
    return manifest
