"""What the cluster's objects say of it, before anything is tried: no I/O here."""

import re
from collections.abc import Sequence

from launcher.admin.cluster import names
from launcher.admin.plan import ENFORCE, RESTRICTED
from launcher.doctor.findings import Finding, fail, ok, warn
from launcher.doctor.wishes import Wishes
from launcher.kubeapi import Tree
from launcher.networkpolicies import matches

OLDEST, NEWEST = 30, 36
"""Minor releases of Kubernetes 1 that the node is made for."""
_GPU = re.compile(r"(?P<vendor>[a-z0-9.-]+)/(gpu|mig-.*|xpu|tpu|.*gpu.*)")


def kubernetes_version(told: Tree) -> Finding:
    """Whether the node is made for this release of Kubernetes."""
    check, version = "kubernetes", str(told.get("gitVersion", "unknown"))
    minor = re.match(r"\d+", str(told.get("minor", "")))
    if str(told.get("major")) != "1" or not minor:
        return warn(check, f"The cluster's version is {version}.", f"expect 1.{OLDEST} to 1.{NEWEST}")
    if int(minor[0]) < OLDEST:
        return fail(check, f"The cluster's Kubernetes is {version}.", f"upgrade it to 1.{OLDEST} or later")
    if int(minor[0]) > NEWEST:
        remedy = f"try it, and report what does not work; it was made for 1.{OLDEST} to 1.{NEWEST}"
        return warn(check, f"The cluster's Kubernetes is {version}, later than this node.", remedy)
    return ok(check, f"Kubernetes {version}.")


def pod_security(namespace: Tree | None, name: str) -> Finding:
    """Which Pod Security Standard the namespace enforces."""
    check = "pod security"
    if namespace is None:
        return ok(check, f'Namespace {name} is made by `v6-node up`, with the standard "{RESTRICTED}".')
    level = (namespace["metadata"].get("labels") or {}).get(ENFORCE)
    if level == RESTRICTED:
        return ok(check, f'Namespace {name} enforces "{RESTRICTED}".')
    said = f'enforces "{level}" only' if level else "enforces no Pod Security Standard"
    remedy = f"`kubectl label namespace {name} {ENFORCE}={RESTRICTED} --overwrite`; all pods of the node keep it"
    return warn(check, f"Namespace {name} {said}.", remedy)


def installed(statefulset: Tree | None, name: str) -> Finding | None:
    """Whether there is a node already."""
    if statefulset is None:
        return None
    return ok("node", f"Namespace {name} has a node already; `v6-node status -n {name}` tells how it fares.")


def runtime_classes(wishes: Wishes, classes: Sequence[Tree]) -> Finding:
    """Whether the RuntimeClasses exist that jobs may name."""
    there = names(classes)
    missing = [name for name in wishes.runtime_classes if name not in there]
    if missing:
        sentence = f"There is no RuntimeClass {', '.join(missing)} (there is: {', '.join(there) or 'none'})."
        remedy = "correct runtimeClassName in jobs.profiles, or have the cluster's administrator install that runtime"
        return fail("runtimes", sentence, remedy)
    found = f"RuntimeClasses beside the default: {', '.join(there)}." if there else "Only the default runtime."
    return ok("runtimes", found)


def priority_classes(wishes: Wishes, classes: Sequence[Tree]) -> list[Finding]:
    """Whether the PriorityClasses exist that pods name."""
    there = names(classes)
    missing = [name for name in wishes.priority_classes if name not in there]
    if not missing:
        return []
    remedy = "correct priorityClassName in the values, or have the cluster's administrator make it"
    return [fail("priorities", f"There is no PriorityClass {', '.join(missing)}.", remedy)]


def gpus(machines: Sequence[Tree]) -> Finding:
    """Which GPUs the machines offer."""
    found: dict[str, list[str]] = {}
    for machine in machines:
        for name, amount in ((machine.get("status") or {}).get("allocatable") or {}).items():
            if _GPU.fullmatch(name) and str(amount) != "0":
                found.setdefault(name, []).append(f"{amount} on {machine['metadata']['name']}")
    if not found:
        return ok("gpus", "No machine offers a GPU; where it should, its device plugin is missing.")
    return ok("gpus", "; ".join(f"{name}: {', '.join(where)}" for name, where in sorted(found.items())) + ".")


def claims(wishes: Wishes, machines: Sequence[Tree]) -> list[Finding]:
    """Whether containers get the devices that profiles claim: containerd 1.6 leaves them out and says nothing."""
    runtimes = {
        each["metadata"]["name"]: str(((each.get("status") or {}).get("nodeInfo") or {}).get("containerRuntimeVersion"))
        for each in machines
    }
    old = [f"{machine} ({runtime})" for machine, runtime in runtimes.items() if runtime.startswith("containerd://1.")]
    if not wishes.claiming_profiles or not old:
        return []
    sentence = (
        f"The profiles {', '.join(wishes.claiming_profiles)} claim devices, which an algorithm may start without, and "
        f"unsaid, on {', '.join(old)}."
    )
    return [
        warn("gpus", sentence, "upgrade containerd there to 2.0 or later, or keep these profiles off by nodeSelector")
    ]


def dns_pods(wishes: Wishes, pods: Sequence[Tree], namespaces: Sequence[Tree]) -> Finding:
    """Whether the DNS is where launcher and proxy will be let to.

    Args:
        wishes: of the values.
        pods: of the namespaces that `network.dns.namespaceSelector` selects.
        namespaces: those.
    """
    selector = {key: value for key, value in (wishes.dns.get("podSelector") or {}).items() if value is not None}
    found = [pod for pod in pods if matches({"matchLabels": selector}, pod["metadata"].get("labels") or {})]
    if found:
        return ok("dns", f"The cluster's DNS is where network.dns says ({len(found)} pods).")
    if wishes.dns.get("cidrs"):
        return ok("dns", "The cluster's DNS is at the addresses of network.dns.cidrs.")
    where = ", ".join(names(namespaces)) or "no namespace"
    remedy = (
        "set network.dns to the namespace, labels and port of the DNS pods (`kubectl get pods -A | grep -i dns`), or "
        "its cidrs: launcher and proxy may ask nobody else"
    )
    sentence = f"No pods with the labels of network.dns.podSelector are in {where}."
    return warn("dns", sentence, remedy)
