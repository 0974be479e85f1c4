"""What is kept of a Job and of a pod while its run is open: a node may have ten thousand of them.

Read they are by `diagnosis`, `waiting`, `progress`, `loghints`, `audit`, `launch`, `destinations` and `mirror`: what
one of these comes to need is named here. A pod's status stays as it is; of a Job's its conditions stay, so that most of
its changes, which count pods, are none to whoever reads what is kept.
"""

from collections.abc import Iterable

from launcher.kubeapi import Tree
from launcher.mirror import RUN_ID
from launcher.waiting import QUEUE

_METADATA = ["name", "uid", "generation", "creationTimestamp", "deletionTimestamp"]


def job(whole: Tree) -> Tree:
    """What is kept of a Job."""
    spec = whole.get("spec", {})
    pod_spec = spec.get("template", {}).get("spec", {})
    return {
        "metadata": _metadata(whole, [*_METADATA, "annotations"]),
        "spec": _only(spec, ["suspend"]) | {"template": {"spec": _only(pod_spec, ["hostAliases"])}},
        "status": _only(whole.get("status", {}), ["conditions"]),
    }


def pod(whole: Tree) -> Tree:
    """What is kept of a pod."""
    spec = whole.get("spec", {})
    containers = {"containers": [_container(each) for each in spec.get("containers") or ()]}
    if before := spec.get("initContainers"):
        containers["initContainers"] = [_only(each, ["name", "restartPolicy"]) for each in before]
    return {
        "metadata": _metadata(whole, _METADATA),
        "spec": _only(spec, ["activeDeadlineSeconds"]) | containers,
        "status": whole.get("status", {}),
    }


def _container(whole: Tree) -> Tree:
    mounts = [_only(mount, ["name", "mountPath"]) for mount in whole.get("volumeMounts") or ()]
    return _only(whole, ["name", "resources"]) | {"volumeMounts": mounts}


def _metadata(whole: Tree, keys: Iterable[str]) -> Tree:
    metadata = whole["metadata"]
    return _only(metadata, keys) | {"labels": _only(metadata.get("labels") or {}, [RUN_ID, QUEUE])}


def _only(tree: Tree, keys: Iterable[str]) -> Tree:
    return {key: tree[key] for key in keys if key in tree}
