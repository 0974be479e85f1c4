"""PersistentVolumeClaims: with files in them where disks can't be seen from here, or for a folder of this machine."""

import textwrap
from pathlib import Path
from typing import Any

from tests.stage.kube import STAGE_LABEL, Kubectl
from tests.stage.node import owner_of_this_process

READY_SECONDS = 120
SOMEBODY = 65531  # owns the files; algorithms run as somebody else


def fill_claim(
    kubectl: Kubectl, namespace: str, claim: str, image: str, *, files: dict[str, bytes], mode: int = 0o644
) -> None:
    """Make a claim and put files into it, by way of a short-lived pod that the standard "restricted" admits.

    Args:
        kubectl: the cluster.
        namespace: where; it exists.
        claim: its name.
        image: one that has Python and is in the cluster.
        files: content by path inside the claim.
        mode: of the files; their folders get that and the right to enter.

    Raises:
        StageError: the cluster provides no volume, or the pod does not start.
    """
    pod = f"fill-{claim}"
    kubectl.apply(_claim(claim), _pod(pod, claim, image), namespace=namespace)
    ready = ("wait", "--for=condition=Ready", f"pod/{pod}", f"--timeout={READY_SECONDS}s")
    kubectl(*ready, namespace=namespace, seconds=READY_SECONDS + 10)
    kubectl("exec", "-i", pod, "--", "python", "-", namespace=namespace, stdin=_writing(files, mode))
    kubectl("delete", "pod", pod, namespace=namespace)


def claim_folder(
    kubectl: Kubectl, namespace: str, claim: str, folder: Path, *, mode: str = "ReadWriteMany", machine: str = ""
) -> str:
    """Make a claim and a volume for it: a folder of the local cluster's machines; returns the volume's name.

    Args:
        kubectl: the cluster.
        namespace: where; it exists.
        claim: its name.
        folder: on the disk that all machines of the local cluster see.
        mode: of access.
        machine: the only one that may mount it; empty: the volume says nothing of machines.
    """
    name = f"{namespace}-{claim}"
    usual, size = {"accessModes": [mode], "storageClassName": ""}, {"storage": "1Gi"}
    hostname = {"key": "kubernetes.io/hostname", "operator": "In", "values": [machine]}
    at = {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}}} if machine else {}
    source = {"hostPath": {"path": str(folder)}, "claimRef": {"namespace": namespace, "name": claim}, **at}
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name, "labels": {STAGE_LABEL: owner_of_this_process()}},
            "spec": {**usual, "capacity": size, **source},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": claim, "namespace": namespace},
            "spec": {**usual, "volumeName": name, "resources": {"requests": size}},
        },
    )
    return name


def _writing(files: dict[str, bytes], mode: int) -> str:
    return textwrap.dedent(f"""
        import pathlib
        for name, content in {files!r}.items():
            path = pathlib.Path("/claim") / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod({mode})
            for folder in path.parents[: len(path.relative_to("/claim").parts) - 1]:
                folder.chmod({mode | 0o111})
    """)


def _claim(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Mi"}}},
    }


def _pod(name: str, claim: str, image: str) -> dict[str, Any]:
    container = {
        "name": "fill",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "infinity"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "claim", "mountPath": "/claim"}],
    }
    security = {"runAsNonRoot": True, "runAsUser": SOMEBODY, "fsGroup": SOMEBODY}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {**security, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": claim}}],
        },
    }
