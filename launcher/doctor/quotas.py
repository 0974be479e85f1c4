"""Whether the namespace's quotas and limits have room for the node and one algorithm: no I/O here."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from launcher.admin.cluster import names
from launcher.doctor.findings import Finding, fail, ok
from launcher.doctor.wishes import Wishes
from launcher.kubeapi import Tree


def quota(wishes: Wishes, quotas: Sequence[Tree], limits: Sequence[Tree]) -> list[Finding]:
    """Whether the namespace's quotas and limits have room for the node and one algorithm."""
    findings = [each for found in quotas for each in _over(wishes, found)]
    findings += [each for found in limits for each in _beyond(wishes, found)]
    if findings:
        return findings
    if not quotas and not limits:
        return [ok("quota", "No quota and no limits.")]
    return [ok("quota", f"{', '.join(names([*quotas, *limits]))}: room for the node and an algorithm.")]


def _over(wishes: Wishes, found: Tree) -> list[Finding]:
    hard = (found.get("status") or {}).get("hard") or found["spec"].get("hard") or {}
    used = (found.get("status") or {}).get("used") or {}
    if found["spec"].get("scopes") or found["spec"].get("scopeSelector"):
        return []  # it counts some pods only, and which is not ours to tell
    wanted = _wanted(wishes)
    lacking = []
    for name, most in hard.items():
        needed = wanted.get(name)
        if needed is None:
            continue
        left = _amount(most) - _amount(used.get(name, "0"))
        if needed > left:
            lacking.append(f"{name}: {_shown(needed)} needed, {_shown(left)} left of {most}")
    if not lacking:
        return []
    sentence = (
        f"ResourceQuota {found['metadata']['name']} has no room for the node and an algorithm ({'; '.join(lacking)})."
    )
    return [fail("quota", sentence, "have it raised, or lower resources in launcher, proxy and jobs of the values")]


def _wanted(wishes: Wishes) -> dict[str, Decimal]:
    """What node and one algorithm take of each thing that a quota may count."""
    total: dict[str, Decimal] = {"pods": Decimal(0), "count/pods": Decimal(0)}
    for _, times, resources in wishes.pods():
        total["pods"] += times
        total["count/pods"] += times
        for kind in ("requests", "limits"):
            for name, amount in (resources.get(kind) or {}).items():
                key = f"{kind}.{name}"
                total[key] = total.get(key, Decimal(0)) + times * _amount(amount)
    for name in ("cpu", "memory"):  # a quota on `cpu` is one on requests.cpu
        total[name] = total.get(f"requests.{name}", Decimal(0))
    if not wishes.storage.get("existingClaim"):
        total["requests.storage"] = _amount(wishes.storage.get("size") or "0")
        total["persistentvolumeclaims"] = Decimal(1)
    return total


def _beyond(wishes: Wishes, found: Tree) -> list[Finding]:
    title, remedy = f"LimitRange {found['metadata']['name']}", "have it changed, or correct resources in the values"
    return [
        fail("quota", f"{title} {rule}, and {who} wants {asked}.", remedy)
        for limit in found["spec"].get("limits") or ()
        if limit.get("type") in {"Container", "Pod"}
        for who, resources in (*((who, each) for who, _, each in wishes.pods()), *wishes.with_profiles())
        for rule, asked in _misfits(limit, resources)
    ]


def _misfits(limit: Tree, resources: Tree) -> Iterator[tuple[str, Any]]:
    """What a limit says that resources do not keep to, and what they say."""
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    whose = f"a {limit['type'].lower()}"
    for name, most in (limit.get("max") or {}).items():
        asked = limits.get(name, requests.get(name))
        if asked is not None and _amount(asked) > _amount(most):
            yield f"lets {whose} have {most} of {name}", asked
    for name, least in (limit.get("min") or {}).items():
        asked = requests.get(name, limits.get(name))
        if asked is not None and _amount(asked) < _amount(least):
            yield f"wants {whose} to have {least} of {name} at least", asked
    for name, usual in (limit.get("default") or {}).items():
        if name not in limits and _amount(requests.get(name, "0")) > _amount(usual):
            yield f"gives {whose} without a limit one of {usual} of {name}", requests[name]


def _amount(quantity: Any) -> Decimal:
    try:
        return Decimal(parse_quantity(quantity))  # type: ignore[no-untyped-call]
    except ValueError:
        return Decimal(0)


def _shown(amount: Decimal) -> str:
    for unit, size in (("Gi", 2**30), ("Mi", 2**20)):
        if amount >= size:
            return f"{amount / size:.3g}{unit}"
    return f"{amount.normalize():f}"
