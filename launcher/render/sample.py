"""The task whose Job is shown: described by options, or taken from a file as the server tells of tasks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from launcher.algorithmenv import EGRESS_HOST, PROXY_HOST, requested
from launcher.config import NodeConfig
from launcher.jobcontext import HostAlias
from launcher.render import Unusable
from launcher.runs import RequestedDatabase, Run

_ADDRESS = "192.0.2.1"
"""Stands for addresses that only a cluster knows (RFC 5737)."""
_USUAL = Run(
    id=0,  # runs count from 1: a dry run meets no Job of this name
    task_id=1,
    job_id=1,
    parent_id=None,
    image="registry.example.org/algorithm:1",
    task_name="sample",
    organization_id=1,
    collaboration_id=1,
    init_organization_id=1,
    init_user_id=1,
    databases=(),
    assigned_at="2026-01-01T00:00:00+00:00",
)


@dataclass(frozen=True, slots=True)
class Described:
    """What was said of a task; None: nothing, or what its file says."""

    image: str | None = None
    databases: tuple[str, ...] = ()
    organization: int | None = None
    user: int | None = None
    name: str | None = None


def sample(file: Path | None, described: Described) -> Run:
    """The run of a task.

    Args:
        file: the task in JSON, as `client.task.get()` of vantage6 gives it; None: an ordinary one.
        described: what goes before it.

    Raises:
        Unusable: the file can't be read or is no task.
    """
    run = _USUAL if file is None else _from_file(file)
    given: dict[str, Any] = {
        "image": described.image,
        "task_name": described.name,
        "init_organization_id": described.organization,
        "init_user_id": described.user,
        "databases": tuple(RequestedDatabase(label) for label in described.databases) or None,
    }
    return replace(run, **{key: value for key, value in given.items() if value is not None})


def _from_file(file: Path) -> Run:
    try:
        task = json.loads(file.read_text())
        task = task.get("task", task)  # a run has its task in it
        return replace(
            _USUAL,
            task_id=int(task.get("id", 1)),
            job_id=int(task.get("job_id", 1)),
            image=str(task["image"]),
            task_name=str(task.get("name") or ""),
            init_organization_id=_number(task.get("init_org"), 1),
            init_user_id=_number(task.get("init_user"), 1),
            databases=tuple(_database(entry) for entry in task.get("databases") or ()),
        )
    except OSError as error:
        raise Unusable(f"{file} can't be read ({error.strerror}); give another --task.") from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        sentence = "it is no task in JSON, with `image`, and perhaps `name`, `databases`, `init_org`, `init_user`"
        raise Unusable(f"{file}: {sentence} ({type(error).__name__}: {error}).") from error


def _number(value: Any, usual: int) -> int:
    """Servers write the number alone, or in a mapping."""
    return int(value["id"] if isinstance(value, Mapping) else usual if value is None else value)


def _database(entry: Any) -> RequestedDatabase:
    return RequestedDatabase(str(entry["label"] if isinstance(entry, Mapping) else entry))


def aliases(config: NodeConfig, run: Run) -> tuple[HostAlias, ...]:
    """The names that resolve in the run's pod, with addresses that stand for those that only the cluster knows.

    Raises:
        UnknownDatabase: the task asks for a database that the node does not have.
    """
    labels = [database.label for database, _ in requested(config.node, run)]
    reached = [destination for label in labels for destination in config.kubernetes.place_of(label).reach]
    known: dict[str, tuple[str, ...]] = {PROXY_HOST: (_ADDRESS,)}
    if config.kubernetes.egress:
        known[EGRESS_HOST] = (_ADDRESS,)
    known |= {destination.host: destination.addresses or (_ADDRESS,) for destination in reached}
    return tuple(HostAlias(address, (host,)) for host, addresses in known.items() for address in addresses)
