"""The shipped job is valid for the oldest and the newest supported Kubernetes."""

from dataclasses import replace

import kubernetes_validate
import pytest

from launcher.invariants import violations
from launcher.jobcontext import Context
from launcher.templates import JobTemplates
from tests.unit.changed_job import nothing_selects, rendered
from tests.unit.example_context import SHIPPED, context, profile

BARE = context(
    databases=(), env={}, image=replace(context().image, pull_secrets=()), profile=profile(supplemental_groups=(1000,))
)
RICH = context(
    profile=profile(
        node_selector={"disk": "fast"},
        tolerations=({"key": "gpu", "operator": "Exists"},),
        pod_labels={"team": "research"},
        pod_annotations={"example.org/note": "yes"},
        priority_class_name="low",
        affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        topology_spread_constraints=(
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}},
        ),
    )
)


@pytest.mark.parametrize("version", ["1.30", "1.36"])
@pytest.mark.parametrize("facts", [context(), BARE, RICH], ids=["usual", "bare", "rich"])
def test_the_shipped_job_has_only_fields_that_kubernetes_knows(version: str, facts: Context) -> None:
    kubernetes_validate.validate(JobTemplates(SHIPPED, None).render("job.yaml.j2", facts), version, strict=True)


def test_where_it_runs_is_as_the_profile_says() -> None:
    """And with it the check of the rules: a template may say more, or otherwise."""
    pod = rendered(RICH)["spec"]["template"]["spec"]
    assert pod["affinity"] == dict(RICH.profile.affinity)
    assert pod["topologySpreadConstraints"] == [dict(each) for each in RICH.profile.topology_spread_constraints]
    assert violations(rendered(RICH), RICH, nothing_selects) == []
    assert {"affinity", "topologySpreadConstraints"}.isdisjoint(rendered(context())["spec"]["template"]["spec"])


def test_the_check_notices_an_unknown_field() -> None:
    manifest = JobTemplates(SHIPPED, None).render("job.yaml.j2", context())
    manifest["spec"]["template"]["spec"]["restartPolice"] = "Never"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, "1.36", strict=True)


def test_a_job_that_waits_in_a_queue_is_suspended_and_says_which() -> None:
    queued = context(run=replace(context().run, queue="algorithms"))
    manifest = rendered(queued)
    assert manifest["spec"]["suspend"] is True
    assert manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "algorithms"
    assert "kueue" not in str(manifest["spec"]["template"])
    assert violations(manifest, queued, nothing_selects) == []
    kubernetes_validate.validate(manifest, "1.36", strict=True)
    assert "suspend" not in rendered(context())["spec"]
