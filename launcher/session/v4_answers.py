"""What a vantage6 4.x server answers, as the node's own terms; and what it is told in its own."""

import json
from datetime import UTC, datetime
from typing import Any

from yarl import URL

from launcher.config.node import NodeSection
from launcher.policies import Policies
from launcher.runs import RequestedDatabase, Run, RunStatus
from launcher.session import Identity


def page_count(answer: dict[str, Any]) -> int:
    """How many pages a paginated answer has."""
    last = (answer.get("links") or {}).get("last")
    if not last:
        return 1
    return int(URL(last).query.get("page", 1))


def now_as_in(example: str) -> str:
    """The time now, as the server itself writes times: older releases (4.5) fail on one that says that it is UTC.

    Without a fraction no release can parse it, and Python leaves a fraction of zero out.
    """
    now = datetime.now(UTC)
    aware = datetime.fromisoformat(example).tzinfo is not None
    return (now if aware else now.replace(tzinfo=None)).isoformat(timespec="microseconds")


def parse_new_task(told: Any) -> int:
    """The task that an event `new_task` is about: older releases say only its number.

    Raises:
        KeyError, TypeError, ValueError: it is neither.
    """
    return int(told["id"] if isinstance(told, dict) else told)


def parse_node(node: dict[str, Any], server: str) -> Identity:
    """This node, as `GET /node/{id}` of a server shows it."""
    return Identity(
        server=server,
        node_id=node["id"],
        name=node["name"],
        organization_id=node["organization"]["id"],
        collaboration_id=node["collaboration"]["id"],
    )


def parse_run(run: dict[str, Any]) -> Run:
    """A run as `GET /run?include=task` shows it."""
    task = run["task"]
    return Run(
        id=run["id"],
        task_id=task["id"],
        job_id=task["job_id"],
        parent_id=(task.get("parent") or {}).get("id"),
        image=task["image"],
        task_name=task.get("name") or "",
        organization_id=run["organization"]["id"],
        collaboration_id=task["collaboration"]["id"],
        init_organization_id=task["init_org"]["id"],
        init_user_id=(task.get("init_user") or {}).get("id"),
        databases=tuple(_parse_database(entry) for entry in task.get("databases") or ()),
        assigned_at=run["assigned_at"],
        blob_storage_used=bool(run.get("blob_storage_used")),
        store_id=(task.get("algorithm_store") or {}).get("id"),
    )


def _parse_database(entry: dict[str, Any]) -> RequestedDatabase:
    """The server keeps what the researcher gave besides the label as a JSON text."""
    parameters = json.loads(entry.get("parameters") or "{}")
    return RequestedDatabase(entry["label"], parameters)


def concerns(order: dict[str, Any], node: Identity) -> bool:
    """Whether an event `kill_containers` is for this node: it names one, or all of its collaboration."""
    if order.get("collaboration_id") != node.collaboration_id:
        return False
    return order.get("node_id") in (None, node.node_id)


def killed_runs(order: dict[str, Any], node: Identity) -> list[int] | None:
    """The runs of this node that it is to end; None for all."""
    if (listed := order.get("kill_list")) is None:
        return None
    return [entry["run_id"] for entry in listed if entry.get("organization_id") == node.organization_id]


def status_change(node: Identity, run: Run, status: RunStatus) -> dict[str, Any]:
    """An event `algorithm_status_change`."""
    return {
        "node_id": node.node_id,
        "status": status.value,
        "run_id": run.id,
        "task_id": run.task_id,
        "collaboration_id": run.collaboration_id,
        "organization_id": run.organization_id,
        "parent_id": run.parent_id,
    }


def shared_config(node: NodeSection, columns: dict[str, list[str]]) -> dict[str, Any]:
    """What the server is told of the node's configuration, and of columns by the label of their database."""
    return {
        "encryption": node.encryption.enabled,
        **shared_policies(node.policies),
        "database_labels": [database.label for database in node.databases],
        "database_types": {f"db_type_{database.label}": database.type for database in node.databases},
        # The server makes a row of each; inside a `database_columns`, as the reference has them, older releases
        # fail on lists.
        **{f"columns_{label}": names for label, names in columns.items()},
    }


def shared_policies(policies: Policies) -> dict[str, Any]:
    """What the server is told of the policies; by users and organizations it refuses tasks early."""
    told: dict[str, Any] = {"allowed_algorithms": list(policies.allowed_algorithms) or "all"}
    if policies.allowed_users:
        told["allowed_users"] = [int(user) for user in policies.allowed_users]
    if policies.allowed_organizations:
        told["allowed_orgs"] = list(policies.allowed_organizations)
    return told
