"""Classes and ResourceClaimTemplates that values name are looked for in the cluster, with the installer's rights."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.chart.apiserver import api_server
from tests.chart.rendering import CHART, MINIMAL, NAMESPACE, complaints, merged, run_helm

JOBS: dict[str, Any] = {
    "priorityClassName": "low",
    "profiles": {
        "gpu": {"runtimeClassName": "nvidia", "priorityClassName": "high"},
        "claim": {"gpu": {"resourceClaimTemplateName": "one-gpu"}},
        "plain": {"priorityClassName": "", "gpu": {"resource": "nvidia.com/gpu"}},
    },
}
THERE = {
    "runtimeclasses": ["nvidia", "gvisor"],
    "priorityclasses": ["low", "high"],
    "resourceclaimtemplates": ["one-gpu"],
}


def refused(helm: str, folder: Path, named: dict[str, list[str]], **jobs: Any) -> list[str]:
    values = json.dumps(merged(MINIMAL, {"jobs": {**JOBS, **jobs}}))
    with api_server(folder, named) as server:
        arguments = ["template", "node", str(CHART), "-n", NAMESPACE, "--dry-run=server", "-f", "-"]
        done = run_helm(helm, *arguments, values=values, kubeconfig=str(server.kubeconfig))
    found = complaints(done.stderr)
    # Helm 4 goes on to what the stand-in does not know; the chart itself has said nothing then.
    assert found or done.returncode == 0 or "unable to build kubernetes objects" in done.stderr, done.stderr
    return found


def test_what_is_there_is_not_refused(helm: str, tmp_path: Path) -> None:
    assert refused(helm, tmp_path, THERE) == []


@pytest.mark.parametrize(
    ("plural", "there", "sentences"),
    [
        (
            "runtimeclasses",
            ["kata", "gvisor"],
            [
                'jobs.profiles.gpu.runtimeClassName "nvidia" is no RuntimeClass of this cluster, '
                "which has gvisor, kata; correct the name, or make it first."
            ],
        ),
        (
            "resourceclaimtemplates",
            ["two-gpus"],
            [
                'jobs.profiles.claim.gpu.resourceClaimTemplateName "one-gpu" is no ResourceClaimTemplate of this '
                "namespace, which has two-gpus; correct the name, or make it first."
            ],
        ),
        (
            "priorityclasses",
            [],
            [
                'jobs.priorityClassName "low" is no PriorityClass of this cluster, which has none; '
                "correct the name, or make it first.",
                'jobs.profiles.gpu.priorityClassName "high" is no PriorityClass of this cluster, which has none; '
                "correct the name, or make it first.",
            ],
        ),
    ],
)
def test_what_is_not_is_refused_by_name(
    plural: str, there: list[str], sentences: list[str], helm: str, tmp_path: Path
) -> None:
    assert refused(helm, tmp_path, {**THERE, plural: there}) == sentences


def test_who_may_not_look_can_turn_it_off(helm: str, tmp_path: Path) -> None:
    assert refused(helm, tmp_path, {}, lookUpClasses=False) == []
