"""A complete job context, for tests to change a part of."""

from pathlib import Path
from typing import Any

from launcher.jobcontext import (
    CollaborationFacts,
    Context,
    DatabaseMount,
    Files,
    HostAlias,
    ImageFacts,
    Isolation,
    NodeFacts,
    OrganizationFacts,
    Profile,
    RunFacts,
    SecretKey,
    TaskFacts,
)

SHIPPED = Path(__file__).parents[2] / "templates" / "jobs"


def context(**parts: Any) -> Context:
    """A run with two databases in one claim and a third in another; `parts` replace fields of the context."""
    usual: dict[str, Any] = {
        "run": RunFacts(
            id=12,
            name="run-12",
            labels={
                "app.kubernetes.io/name": "v6-node",
                "v6-node.vantage6.ai/run-id": "12",
                "v6-node.vantage6.ai/task-id": "7",
            },
            annotations={"v6-node.vantage6.ai/assigned-at": "2026-03-01T10:00:00+00:00"},
        ),
        "task": TaskFacts(id=7, name="average age", job_id=5, image="ghcr.io/example/average:1", method="partial"),
        "organization": OrganizationFacts(id=3),
        "collaboration": CollaborationFacts(id=2),
        "image": ImageFacts(ref="ghcr.io/example/average:1", pull_policy="IfNotPresent", pull_secrets=("registry",)),
        "env": {"INPUT_FILE": "F5WW45BPMRQXIYJP", "DB_LABELS": "MRSWMYLVNR2A!!!!"},
        "secret_env": {"REGISTRY_DATABASE_URI": SecretKey("v6-node-database-registry", "REGISTRY_DATABASE_URI")},
        "databases": (
            DatabaseMount("default", "v6-node-database-default", None, "/mnt/default.csv"),
            DatabaseMount("first", "registry-data", "2026/first.csv", "/mnt/first.csv"),
            DatabaseMount("second", "registry-data", "2026/second.csv", "/mnt/second.csv"),
        ),
        "files": Files("v6-node-tasks", "runs/12/data", "/mnt/data", "jobs/5", "/mnt/tmp"),
        "profile": profile(),
        "isolation": Isolation(
            labels={"v6-node.vantage6.ai/role": "algorithm"},
            host_aliases=(HostAlias("10.96.0.20", ("proxyserver",)),),
            service_account="v6-node-algorithm",
        ),
        "node": NodeFacts(
            namespace="hospital-a",
            owner={
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "name": "v6-node-algorithm",
                "uid": "0b0d2f0e-7a43-4a35-9f0e-2f5a3f6f5b11",
            },
        ),
    }
    return Context(**{**usual, **parts})


def profile(**parts: Any) -> Profile:
    """What the chart's default values say about jobs; `parts` replace fields."""
    usual: dict[str, Any] = {
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "2Gi"}},
        "node_selector": {},
        "tolerations": (),
        "pod_labels": {},
        "pod_annotations": {},
        "priority_class_name": "",
        "active_deadline_seconds": 2592000,
        "termination_grace_period_seconds": 5,
        "tmp_size_limit": "1Gi",
        "run_as_user": 65532,
        "run_as_group": 65532,
    }
    return Profile(**{**usual, **parts})
