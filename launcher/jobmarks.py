"""What marks Jobs and pods as this node's, and the made-up runs of its own checks."""

from dataclasses import replace

from launcher.runs import PREFIX, Run
from launcher.session import Identity

PROFILE = f"{PREFIX}/profile"
"""The annotation that says which profile a Job has."""
GRANTED = "granted"
"""The value of every label that opens a way."""
NOBODY = Identity(server="", node_id=0, name="", organization_id=0, collaboration_id=0)
"""Who the node is before it logged in: enough to rehearse."""
CHECK = Run(
    id=0,
    task_id=0,
    job_id=0,
    parent_id=None,
    image="",
    task_name="isolation check",
    organization_id=0,
    collaboration_id=0,
    init_organization_id=0,
    init_user_id=None,
    databases=(),
    assigned_at="1970-01-01T00:00:00",
)
"""What is executed to try the isolation, and to rehearse: a run of no server, whose runs count from 1."""
CHECK_GRANTED = replace(CHECK, assigned_at="1970-01-01T00:00:01")
"""The same, let through to every database: policies add up, and one may select only those who asked for something."""


def capability(label: str) -> str:
    """The pod label that opens the way to a database. A label's name is compared whole, so no prefix of it opens."""
    return f"{PREFIX}/database.{label.lower()}"


def ownership(identity: Identity, run: Run | None) -> dict[str, str]:
    """The annotations that say whose a Job is."""
    owner = {f"{PREFIX}/server": identity.server, f"{PREFIX}/node-id": str(identity.node_id)}
    return owner if run is None else {**owner, f"{PREFIX}/assigned-at": run.assigned_at}


def run_labels(run: Run) -> dict[str, str]:
    """The labels that say which run a Job is of."""
    numbers = {
        "run-id": run.id,
        "task-id": run.task_id,
        "organization-id": run.organization_id,
        "collaboration-id": run.collaboration_id,
    }
    return {f"{PREFIX}/{name}": str(number) for name, number in numbers.items()}
