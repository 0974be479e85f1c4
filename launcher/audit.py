"""One line for each run that this node executed or refused: who sent what, what was decided, how it ended, what left.

It is a JSON object on standard output like every other line, with the event `run` of the logger `launcher.audit`,
whatever `node.logging.level` is. It names things and counts bytes; input, result, log, parameters and credentials are
not in it. What it says of a run is kept on its Job, so that it is complete also if an earlier launcher started it.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from launcher.kubeapi import Tree
from launcher.runs import PREFIX, Receipt, Run
from launcher.session import Identity
from launcher.waiting import CONTAINER

log = logging.getLogger("launcher.audit")
log.setLevel(logging.INFO)

ANNOTATION = f"{PREFIX}/audit"
_FACTS = ("task", "job", "image", "user", "organization", "databases", "policy", "profile")


def of_run(run: Run, policy: str | None, profile: str = "") -> dict[str, Any]:
    """What the line says of a run before it starts.

    Args:
        run: as the server describes it.
        policy: the keys of `node.policies` that allowed or refused it; None if it is not known any more.
        profile: the one of `jobs.profiles` that it got; empty if none.
    """
    return {
        "task": run.task_id,
        "job": run.job_id,
        "image": run.image,
        "user": run.init_user_id,
        "organization": run.init_organization_id,
        "databases": [database.label for database in run.databases],
        "policy": policy,
        "profile": profile or None,
    }


def annotation(run: Run, policy: str, profile: str) -> dict[str, str]:
    """The same, for the run's Job."""
    return {ANNOTATION: json.dumps(of_run(run, policy, profile))}


def of_job(job: Tree) -> dict[str, Any]:
    """What a run's Job says of the run; without the facts if they can't be read."""
    try:
        kept = json.loads((job["metadata"].get("annotations") or {}).get(ANNOTATION, "{}"))
    except ValueError:
        kept = {}
    found = kept if isinstance(kept, dict) else {}
    return {key: found[key] for key in _FACTS if key in found}


def write(
    identity: Identity,
    run_id: int,
    known: Mapping[str, Any],
    receipt: Receipt,
    *,
    pod: Tree | None,
) -> None:
    """Write the line.

    Args:
        identity: whose run it was.
        run_id: its number.
        known: of the run, by `of_run` or `of_job`.
        receipt: how it ended, and how much the server got.
        pod: the run's, if it has any.
    """
    status = _status(pod)
    fields = {
        "server": identity.server,
        "node": identity.node_id,
        "run": run_id,
        **{key: known.get(key) for key in _FACTS},
        "digest": _digest(status),
        "status": receipt.end.status.value,
        "reason": receipt.end.sentence,
        "seconds": _seconds(status),
        "result_bytes": receipt.result_bytes,
        "log_bytes": receipt.log_bytes,
    }
    log.info("run", extra={"fields": fields})


def _status(pod: Tree | None) -> Tree:
    for status in (pod or {}).get("status", {}).get("containerStatuses") or ():
        if status["name"] == CONTAINER:
            return dict(status)
    return {}


def _digest(status: Tree) -> str | None:
    """The digest of what ran, as the machine says (`imageID`), with or without the image's name before it."""
    return str(status["imageID"]).rpartition("@")[2] if status.get("imageID") else None


def _seconds(status: Tree) -> float | None:
    """How long the algorithm ran, or has been running."""
    state = status.get("state") or {}
    ran = state.get("terminated") or state.get("running") or {}
    if not ran.get("startedAt"):
        return None
    until = ran.get("finishedAt")
    end = datetime.fromisoformat(until) if until else datetime.now(UTC)
    return max((end - datetime.fromisoformat(ran["startedAt"])).total_seconds(), 0.0)
