"""Which pods a run's pod needs beside it, where one machine at a time can mount the task volume."""

from collections.abc import Mapping
from typing import Any

from launcher.runs import PREFIX

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
# The launcher's pod has the same term (templates/launcher/statefulset.yaml of the chart). So the first of them may be
# anywhere, as it matches its own term and nobody else does, and the others follow it: algorithms a launcher, and a
# launcher that was moved the algorithms that run.
_MOUNTING = {
    "topologyKey": "kubernetes.io/hostname",
    "labelSelector": {
        "matchExpressions": [{"key": f"{PREFIX}/role", "operator": "In", "values": ["launcher", "algorithm"]}]
    },
}


def beside_the_volume(affinity: Mapping[str, Any]) -> dict[str, Any]:
    """An affinity by which a pod goes where the task volume is mounted.

    Kubernetes does this by itself only for volumes that say which machines they are on. A required `podAffinity` of the
    site's own stays in its place: Kubernetes wants all terms met by the same pods, so that both could never be.
    """
    return {**affinity, "podAffinity": {_REQUIRED: [_MOUNTING], **(affinity.get("podAffinity") or {})}}
