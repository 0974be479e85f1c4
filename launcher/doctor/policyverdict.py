"""Whether NetworkPolicies are enforced, by what the doctor's pods reached: no I/O here."""

from collections.abc import Mapping

from launcher.admin.progress import container_state
from launcher.doctor.findings import Finding, fail, ok, warn
from launcher.doctor.probes import CLOSED, CONTAINER, FREE, OPEN, SHUT
from launcher.doctor.tried import Tried
from launcher.kubeapi import Tree


def policies(tried: Tried) -> Finding:
    """Whether NetworkPolicies are enforced: what a policy forbids is shut, and what none forbids is open."""
    check = "network policies"
    free, shut = tried.answer(FREE).get("connect") or {}, tried.answer(SHUT).get("connect") or {}
    ways = _ways(free, OPEN)
    if not ways or not _ways(shut, OPEN) or not _ways(free, CLOSED):
        part = next((each for each in (OPEN, CLOSED, FREE, SHUT) if not _told(tried, each)), FREE)
        sentence = f"Whether NetworkPolicies are enforced could not be tried: {tried.trouble(part)}"
        return warn(check, sentence, "mend that and ask again; a node does not go online before it has tried it itself")
    if dead := [way for way, found in ways.items() if found["last"] != "connected"]:
        sentence = f"Pods don't reach each other ({dead[0]}: {ways[dead[0]]['last']}), though no policy forbids it."
        remedy = "look at the network plugin, and at policies of the whole cluster (of Cilium, Calico, or an admin's)"
        return fail(check, sentence, remedy)
    through = {"out of": _through(_ways(shut, OPEN)), "into": _through(_ways(free, CLOSED))}
    if any(through.values()):
        where = " and ".join(f"{direction} a pod ({', '.join(found)})" for direction, found in through.items() if found)
        remedy = (
            "install a network plugin that enforces them, such as Cilium or Calico (flannel alone does not; on K3s, "
            "don't start with --disable-network-policy); a node does not go online without"
        )
        return fail(check, f"NetworkPolicies are not enforced: what they forbid gets through, {where}.", remedy)
    late = [found["seconds"] for found in (*_ways(shut, OPEN).values(), *_ways(free, CLOSED).values()) if _late(found)]
    if late:
        sentence = f"NetworkPolicies are enforced, but only {max(late):.0f} seconds after a pod's start."
        remedy = "look for a network plugin, or a setting of it, that holds a pod until its policies are in place"
        return warn(check, sentence, remedy)
    return ok(check, "NetworkPolicies are enforced, in both directions, from a pod's first packet on.")


def _told(tried: Tried, part: str) -> bool:
    return "running" in container_state(tried.pods.get(part) or {}, CONTAINER) or bool(tried.answer(part))


def _ways(found: Mapping[str, Tree], part: str) -> dict[str, Tree]:
    return {name.partition(" ")[2]: each for name, each in found.items() if name.startswith(f"{part} ")}


def _through(ways: Mapping[str, Tree]) -> list[str]:
    return [way for way, found in ways.items() if found["last"] == "connected"]


def _late(found: Tree) -> bool:
    return bool(found["first"] == "connected" and found["last"] != "connected")
