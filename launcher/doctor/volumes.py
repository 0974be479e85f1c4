"""Whether the cluster makes, or has, the volumes that the node needs: no I/O here."""

import re
from collections.abc import Iterable, Sequence

from launcher.admin.cluster import names
from launcher.doctor.findings import Finding, fail, ok, warn
from launcher.doctor.wishes import Wishes
from launcher.kubeapi import Tree

_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
# Provisioners whose volumes one machine at a time can write, and such that many can.
_ONE = re.compile(
    r"rancher\.io/local-path|k8s\.io/minikube-hostpath|microk8s\.io/hostpath|(ebs\.csi\.aws|disk\.csi\.azure|"
    r"pd\.csi\.storage\.gke|csi\.hetzner|cinder\.csi\.openstack|rbd\.csi\.ceph)\..*|.*\.rbd\.csi\.ceph\.com|"
    r"dobs\.csi\.digitalocean\.com|topolvm\.io|openebs\.io/local|.*no-provisioner"
)
_MANY = re.compile(
    r"nfs\.csi\.k8s\.io|.*nfs-subdir-external-provisioner|cluster\.local/.*nfs.*|(efs\.csi\.aws|file\.csi\.azure|"
    r"filestore\.csi\.storage\.gke)\..*|(.*\.)?cephfs\.csi\.ceph\.com|driver\.longhorn\.io|weka.*|.*glusterfs.*"
)


def storage(wishes: Wishes, classes: Sequence[Tree], claims: Sequence[Tree], machines: int | None) -> list[Finding]:
    """Whether there can be a task volume.

    Args:
        wishes: of the values.
        classes: the cluster's StorageClasses.
        claims: the namespace's claims.
        machines: how many machines the cluster has; None: it is not known.
    """
    there = {claim["metadata"]["name"]: claim for claim in claims}
    findings = [
        fail(
            "storage",
            f"There is no claim {name}, which the values name.",
            "make it (kubectl get pvc), or correct taskVolume.existingClaim and node.databases",
        )
        for name in wishes.claims
        if name not in there
    ]
    own = wishes.storage.get("existingClaim")
    modes = wishes.storage.get("accessModes") or ["ReadWriteOnce"]
    if own:
        return findings + (_existing(own, there[own], modes, machines) if own in there else [])
    name = wishes.storage.get("storageClassName")
    if name == "":
        remedy = "make a PersistentVolume without a class, or name a StorageClass"
        return [*findings, warn("storage", "The task volume waits for one made by hand (storageClassName).", remedy)]
    chosen = storage_class(wishes, classes)
    if chosen is None:
        known = ", ".join(names(classes)) or "none"
        if name is None:
            sentence = f"The cluster has no default StorageClass (it has: {known})."
        else:
            sentence = f"There is no StorageClass {name} (there is: {known})."
        remedy = (
            "set taskVolume.storageClassName to one of these, or taskVolume.existingClaim to a claim; if there is "
            "none, have the cluster's administrator install a provisioner, such as local-path for one machine"
        )
        return [*findings, fail("storage", sentence, remedy)]
    provisioner = chosen.get("provisioner", "")
    title = f"StorageClass {chosen['metadata']['name']} ({provisioner})"
    if "ReadWriteMany" in modes and _ONE.fullmatch(provisioner):
        remedy = "set taskVolume.accessModes to [ReadWriteOnce], or take a StorageClass of shared files, such as NFS"
        return [*findings, fail("storage", f"{title} makes no volumes that several machines write to.", remedy)]
    if "ReadWriteMany" in modes and not _MANY.fullmatch(provisioner):
        remedy = "ask whether it can; if not, the claim stays pending, with an Event that says so"
        return [
            *findings,
            warn("storage", f"Whether {title} makes volumes that several machines write to is not known.", remedy),
        ]
    return [
        *findings,
        ok("storage", f"The task volume comes from {title}, {', '.join(modes)}."),
        *_reach(modes, machines),
    ]


def storage_class(wishes: Wishes, classes: Iterable[Tree]) -> Tree | None:
    """The class that the task volume will be of; None if there is none."""
    name = wishes.storage.get("storageClassName")
    for each in classes:
        annotations = each["metadata"].get("annotations") or {}
        if each["metadata"]["name"] == name or (
            name is None and any(annotations.get(key) == "true" for key in _DEFAULT)
        ):
            return each
    return None


def _existing(name: str, claim: Tree, said: Sequence[str], machines: int | None) -> list[Finding]:
    """Whether a claim may be the task volume, and is what the values say."""
    has = claim["spec"].get("accessModes") or said
    title = f"claim {name} ({', '.join(has)})"
    if not {"ReadWriteOnce", "ReadWriteMany"} & set(has):
        sentence = f"The task volume can't be {title}: the launcher and every algorithm write to it."
        return [fail("storage", sentence, "name a claim with ReadWriteOnce, or ReadWriteMany for several machines")]
    if ("ReadWriteMany" in has) != ("ReadWriteMany" in said):
        remedy = "set taskVolume.accessModes to what the claim has: by it pods share a machine, or don't"
        return [fail("storage", f"The task volume is {title}, but the values say {', '.join(said)}.", remedy)]
    return [ok("storage", f"The task volume is {title}."), *_reach(has, machines)]


def _reach(modes: Sequence[str], machines: int | None) -> list[Finding]:
    if machines is not None and machines > 1 and "ReadWriteMany" not in modes:
        sentence = f"The task volume ties launcher and algorithms to one of the {machines} machines."
        remedy = (
            "set taskVolume.accessModes to [ReadWriteMany], with a StorageClass that can, if one machine is too few"
        )
        return [warn("storage", sentence, remedy)]
    return []
