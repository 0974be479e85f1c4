"""What of the server's API an algorithm gets: what vantage6-algorithm-tools 4.x asks for, and only for its own task.

The server lets a container token read every task, run and result of the collaboration. Here an algorithm reaches its
own task and those that it created (their parent is its task), and creates tasks with its own image and databases.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from proxy.bearer import Container
from proxy.refusal import Refusal

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_ID = r"/([0-9]{1,18})"
_UUID = r"/([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is on the list."""

    kind: str
    """Which of `ROUTES`."""
    id: str
    """The number or name in its path; empty if there is none."""
    query: Sequence[tuple[str, str]]
    """Its parameters; it is sent with these, written anew, so that the server can't read others in it."""


ROUTES = {
    "create task": ("POST", "/task"),
    "upload": ("POST", "/blobstream"),
    "task": ("GET", f"/task{_ID}"),
    "task status": ("GET", f"/task{_ID}/status"),
    "runs": ("GET", "/run"),
    "run": ("GET", f"/run{_ID}"),
    "results": ("GET", "/result"),
    "result": ("GET", f"/result{_ID}"),
    "organizations": ("GET", "/organization"),
    "organization": ("GET", f"/organization{_ID}"),
    "collaboration": ("GET", f"/collaboration{_ID}"),
    "studies": ("GET", "/study"),
    "study": ("GET", f"/study{_ID}"),
    "addresses": ("GET", "/vpn/algorithm/addresses"),
    "blob status": ("GET", "/blobstream/status"),
    "download": ("GET", f"/blobstream{_UUID}"),
}
_PATTERNS = {kind: (method, re.compile(path, re.ASCII)) for kind, (method, path) in ROUTES.items()}


def narrowed(request: web.Request, container: Container) -> Request:
    """What is asked for, as far as it can be told without asking the server.

    Raises:
        Refusal: 403 for what is not on the list, or belongs to another collaboration; 400 without a needed parameter.
    """
    path = request.rel_url.raw_path
    for kind, (method, pattern) in _PATTERNS.items():
        if method == request.method and (match := pattern.fullmatch(path)):
            asked = Request(kind, match[1] if pattern.groups else "", list(request.query.items()))
            _check_collaboration(asked, container)
            return asked
    raise Refusal(
        403,
        f"{request.method} {path[:200]} is nothing that this node's proxy does for an algorithm; use the calls of "
        "vantage6-algorithm-tools.",
    )


def task_of(asked: Request) -> int | None:
    """The task that a request is about, if it says so itself.

    Raises:
        Refusal: 400 if a list of runs or results is asked for without exactly one number of a task.
    """
    if asked.kind in {"task", "task status"}:
        return int(asked.id)
    if asked.kind in {"runs", "results"}:
        given = [text for name, text in asked.query if name == "task_id"]
        if len(given) != 1 or not _NUMBER.fullmatch(given[0]):
            raise Refusal(400, "No task id found in request from algorithm: give the parameter 'task_id', a number.")
        return int(given[0])
    return None


def _check_collaboration(asked: Request, container: Container) -> None:
    ours = str(container.collaboration_id)
    if asked.kind == "collaboration" and int(asked.id) != container.collaboration_id:
        raise Refusal(403, f"Collaboration {asked.id} is not this algorithm's; it may ask for {ours}.")
    if asked.kind in {"organizations", "studies"}:
        given = [text for name, text in asked.query if name == "collaboration_id"]
        studies = [text for name, text in asked.query if name == "study_id"]
        if given != [ours] and not (not given and len(studies) == 1):
            raise Refusal(403, f"An algorithm may list what is in its own collaboration; give collaboration_id={ours}.")


def check_new_task(task: dict[str, Any], container: Container) -> None:
    """Let an algorithm create tasks with its own image and databases, in its own collaboration.

    Raises:
        Refusal: 400 if that can't be told, 403 if it is another.
    """
    organizations = task.get("organizations")
    if not organizations:
        raise Refusal(400, "Organizations missing from input: give 'organizations', a list of {id, input}.")
    if not isinstance(organizations, list) or not all(
        isinstance(entry, dict) and type(entry.get("id")) is int for entry in organizations
    ):
        raise Refusal(400, "'organizations' is not a list of {id, input}, with a number as id.")
    if task.get("image") != container.image:
        raise Refusal(403, f"An algorithm may only create tasks with its own image; give image {container.image!r}.")
    if task.get("collaboration_id", container.collaboration_id) != container.collaboration_id:
        raise Refusal(403, f"This algorithm's tasks are of collaboration {container.collaboration_id}; give that.")
    for label in _labels(task.get("databases")):
        if label not in container.databases:
            shown = ", ".join(sorted(container.databases)) or "none"
            raise Refusal(403, f"Database {label!r} is none of this algorithm's task, which has {shown}; leave it out.")


def _labels(databases: Any) -> list[str]:
    """The labels of a new task's databases; server 4.x takes a text, or a list of mappings."""
    if databases is None:
        return []
    entries = [{"label": databases}] if isinstance(databases, str) else databases
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("label"), str) for entry in entries
    ):
        raise Refusal(400, "'databases' is not a list of mappings, each with a 'label'.")
    return [entry["label"] for entry in entries]
