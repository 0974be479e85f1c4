"""What the rules say where a site's values have caps, and images that may run beside an algorithm."""

from typing import Any

from launcher.jobcontext import Context, GpuGrant
from tests.unit.changed_job import BOX, COMPANION, POD
from tests.unit.example_context import context, profile

# Caps on a job that has a limit for everything.
CAP_CASES: list[tuple[dict[str, Any], str, object, str]] = [
    ({"memory": "1Gi"}, f"{BOX}.resources.limits.memory", "1025Mi", 'limits.memory: "1025Mi" .*allows 1Gi'),
    ({"memory": "1Gi"}, f"{BOX}.resources.requests.memory", "2G", 'requests.memory: "2G" .*allows 1Gi'),
    ({"cpu": "1500m"}, f"{BOX}.resources.limits.cpu", 1.6, "limits.cpu: 1.6 .*allows 1500m"),
    ({"cpu": 2}, f"{BOX}.resources.limits", {"memory": "1Gi"}, "limits.cpu is missing"),
    (
        {"ephemeral-storage": "2Gi"},
        f"{POD}.volumes.+",
        {"name": "c", "emptyDir": {"sizeLimit": "3Gi"}},
        'sizeLimit: "3Gi" .*jobs.caps.ephemeralStorage in the chart\'s values allows 2Gi',
    ),
    ({"ephemeral-storage": "1Gi"}, f"{BOX}.resources.limits", {"memory": "1Gi"}, 'ephemeral-storage"] is missing'),
]

# What a companion's container must not have, where its image is listed.
COMPANION_CASES: list[tuple[dict[str, Any], str]] = [
    ({"image": "example.org/other:1"}, 'image: "example.org/other:1" is not allowed'),
    ({"volumeMounts": [{"name": "task", "mountPath": "/x"}]}, 'volumeMounts[0].name: "task" is not allowed'),
    ({"volumeMounts": [{"name": "database-0", "mountPath": "/x"}]}, "the algorithm's alone"),
    ({"env": []}, "env[KUBERNETES_SERVICE_HOST] must be blank"),
    (
        {"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "v6-node-database-registry", "key": "a"}}}]},
        "none from Secrets",
    ),
    ({"securityContext": {}}, "allowPrivilegeEscalation is missing"),
    ({"securityContext": {**COMPANION["securityContext"], "runAsUser": 0}}, "never as root"),
    ({"resources": {"requests": {"cpu": 1, "memory": 1}}}, "limits is missing"),
    ({"resources": {**COMPANION["resources"], "limits": {"memory": 1, "nvidia.com/gpu": 1}}}, "there, grants"),
    ({"name": ""}, 'name: "" is not allowed'),
    ({"imagePullPolicy": ""}, "imagePullPolicy: "),
    ({"livenessProbe": {}}, "livenessProbe is not allowed"),
    ({"restartPolicy": "Always"}, 'restartPolicy: "Always" is not allowed'),
]


def claiming() -> Context:
    """A run of a profile whose GPU comes by Dynamic Resource Allocation, beside a companion."""
    grant = GpuGrant(resource_claim_template_name="one-gpu")
    resources = {**profile().resources, "claims": [{"name": "gpu"}]}
    return context(profile=profile(resources=resources, gpu=grant, extra_images=(COMPANION["image"],)))


def capped(caps: dict[str, Any]) -> Context:
    """A run of a site with caps."""
    limits = {"cpu": 1, "memory": "1Gi", "ephemeral-storage": "1Gi"}
    resources = {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": limits}
    return context(profile=profile(resources=resources, caps=caps))
