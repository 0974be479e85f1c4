"""The admission policy for Jobs knows by name what the launcher gives them."""

import json
from typing import Any

from launcher.audit import ANNOTATION
from launcher.cluster import CHECK_LABEL
from launcher.jobmarks import CHECK, NOBODY, PROFILE, ownership, run_labels
from launcher.waiting import QUEUE
from tests.chart.rendering import MINIMAL, NAMESPACE, merged, named, render
from tests.unit.example_context import context


def policy(**jobs: object) -> dict[str, Any]:
    values = merged(MINIMAL, {"admissionPolicy": {"enabled": True}, "jobs": jobs})
    spec: dict[str, Any] = named(render(values), "ValidatingAdmissionPolicy", f"v6-node-{NAMESPACE}-jobs")["spec"]
    return spec


def expression(message: str) -> str:
    [found] = [each["expression"] for each in policy()["validations"] if message in each["message"]]
    return str(found)


def listed(names: list[str]) -> str:
    return "[" + ", ".join(f"'{name}'" for name in names) + "]"


def test_the_labels_of_a_run_and_of_a_check() -> None:
    assert f"k in {listed([*run_labels(CHECK), CHECK_LABEL])} ||" in expression("a job's labels")


def test_a_job_waits_in_the_queue_of_the_values_and_in_no_other() -> None:
    def variable(name: str, **jobs: object) -> str:
        return str({each["name"]: each["expression"] for each in policy(**jobs)["variables"]}[name])

    assert variable("queue") == "''"
    assert variable("queue", kueue={"queueName": "algorithms"}) == "'algorithms'"
    assert f"!(has(object.metadata.labels) && '{CHECK_LABEL}' in object.metadata.labels)" in variable("queued")
    assert f"variables.queued && k == '{QUEUE}' && object.metadata.labels[k] == variables.queue" in expression(
        "a job's labels"
    )
    assert expression("is suspended only") == "object.spec.suspend == variables.queued"


def test_the_annotations_of_a_run() -> None:
    mine = f"k in {listed([*ownership(NOBODY, CHECK), PROFILE, ANNOTATION])} ||"
    assert mine in expression("a job's annotations")
    assert mine in expression("the pod's annotations")


def test_the_variables_that_announce_the_api_server() -> None:
    assert f"{listed(list(context().isolation.blank_variables))}.all(n, " in expression("announce the API server")


def test_pairs_of_the_values_are_texts_of_cel_whatever_they_hold() -> None:
    variables = {each["name"]: each["expression"] for each in policy(podLabels={"team": "it's"})["variables"]}
    assert variables["givenLabels"] == '{"team":"it\'s"}'


PROFILES = {
    "gpu": {
        "gpu": {"resource": "nvidia.com/gpu", "count": 2},
        "runtimeClassName": "nvidia",
        "priorityClassName": "scarce",
        "tmpSizeLimit": "8Gi",
    },
    "claim": {"gpu": {"resourceClaimTemplateName": "one-gpu"}},
    "other": {"gpu": {"resource": "nvidia.com/gpu"}, "runtimeClassName": "gvisor", "priorityClassName": ""},
}


def test_what_any_profile_says_is_let_through_and_nothing_else() -> None:
    spec = policy(
        profiles=PROFILES, priorityClassName="low", resources={"limits": {"memory": "2Gi", "example.org/fpga": 3}}
    )
    variables = {each["name"]: each["expression"] for each in spec["variables"]}
    assert json.loads(variables["granted"]) == {"example.org/fpga": ["3"], "nvidia.com/gpu": ["2", "1"]}
    told = {each["message"]: each["expression"] for each in spec["validations"]}
    [runtime] = [text for message, text in told.items() if "RuntimeClass" in message]
    assert runtime.endswith("variables.pod.runtimeClassName in ['nvidia', 'gvisor']")
    [priority] = [text for message, text in told.items() if "PriorityClass" in message]
    assert priority.endswith("variables.pod.priorityClassName in ['low', 'scarce'])")
    [scratch] = [text for message, text in told.items() if "scratch space" in message]
    assert "['1Gi', '8Gi'].exists(most, " in scratch
    [claim] = [text for message, text in told.items() if "ResourceClaimTemplate" in message]
    assert "r.name == 'gpu' && has(r.resourceClaimTemplateName) && r.resourceClaimTemplateName in ['one-gpu'])" in claim


def test_a_cap_on_disk_goes_before_the_sizes_of_tmp() -> None:
    told = {each["message"]: each["expression"] for each in policy(caps={"ephemeralStorage": "20Gi"})["validations"]}
    assert "['20Gi'].exists(most, " in told["mounts: volumes are claims or bounded scratch space"]


def test_a_cap_on_devices_is_on_what_has_a_domain() -> None:
    told = {each["message"]: each["expression"] for each in policy(caps={"devices": 2})["validations"]}
    counted = told["resources: no container has more devices of a kind than jobs.caps allows"]
    assert "!k.contains('/') || !quantity(c.resources.limits[k]).isGreaterThan(quantity('2'))" in counted
    assert not any("devices of a kind" in each["message"] for each in policy()["validations"])


def test_without_profiles_there_is_no_runtime_and_no_device() -> None:
    variables = {each["name"]: each["expression"] for each in policy()["variables"]}
    assert variables["granted"] == "{}"
    assert expression("RuntimeClass").endswith("variables.pod.runtimeClassName in []")
    assert "r.resourceClaimTemplateName in []" in expression("ResourceClaimTemplate")
