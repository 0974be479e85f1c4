"""Whether quotas and limits of the node's namespace have room for it."""

from typing import Any

import pytest

from launcher.doctor import quotas
from launcher.doctor.findings import Finding, Level
from tests.unit.test_doctor_facts import FAIL, OK, asking, levels, said, thing


def counted(hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any) -> list[Finding]:
    found = thing("small", spec={"hard": hard, **spec}, status={"hard": hard, "used": used or {}})
    return quotas.quota(asking(), [found], [])


@pytest.mark.parametrize(
    ("hard", "used", "level", "words"),
    [
        ({"pods": "3"}, {}, OK, "room"),
        ({"pods": "10"}, {"pods": "8"}, FAIL, "pods: 3 needed, 2 left of 10"),
        ({"limits.memory": "1Gi"}, {}, FAIL, "limits.memory: 3.5Gi needed, 1Gi left of 1Gi"),
        ({"requests.cpu": "200m"}, {}, OK, "room"),
        ({"cpu": "100m"}, {}, FAIL, "cpu: 0.2 needed, 0.1 left"),
        ({"requests.storage": "5Gi"}, {}, FAIL, "requests.storage: 10Gi needed"),
        ({"persistentvolumeclaims": "0"}, {}, FAIL, "persistentvolumeclaims"),
        ({"services.loadbalancers": "0"}, {}, OK, "room"),
    ],
)
def test_a_quota_has_to_have_room_for_node_and_algorithm(hard: Any, used: Any, level: Level, words: str):
    found = counted(hard, used)
    assert levels(found) == [level] and words in said(found)


def test_a_quota_of_some_pods_only_is_passed_over():
    assert levels(counted({"pods": "0"}, scopes=["Terminating"])) == [OK]


def test_no_quota_is_well():
    assert said(quotas.quota(asking(), [], [])).startswith("No quota")


SITE = {"max": {"memory": "4Gi"}, "min": {"cpu": "10m"}, "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "20m"}}


@pytest.mark.parametrize(
    ("limit", "values", "expected"),
    [
        (SITE, "", []),
        ({"max": {"memory": "1Gi"}}, "", ["lets a container have 1Gi of memory, and an algorithm wants 2Gi"]),
        (
            SITE,
            "jobs: {profiles: {plain: {}, big: {resources: {limits: {memory: 8Gi}}}}}",
            ["lets a container have 4Gi of memory, and an algorithm with profile big wants 8Gi"],
        ),
        ({"max": {"cpu": "75m"}}, "", ["have 75m of cpu, and an algorithm wants 100m"]),
        ({"default": {"cpu": "75m"}}, "", ["without a limit one of 75m of cpu, and an algorithm wants 100m"]),
        ({"default": {"memory": "1Mi"}}, "", []),
        ({"min": {"cpu": "75m"}}, "", ["the launcher wants 50m", "the proxy wants 50m"]),
    ],
)
def test_a_limit_that_containers_do_not_keep_to_is_named(limit: Any, values: str, expected: list[str]):
    claims = {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}
    spec = {"limits": [{"type": "Container", **limit}, claims]}
    found = quotas.quota(asking(values), [], [thing("limits", spec=spec)])
    assert levels(found) == ([FAIL] * len(expected) or [OK])
    assert all(words in said(found) for words in expected)
