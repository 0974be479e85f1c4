"""The environment that vantage6 promises an algorithm (reference: vantage6-node 4.15, docker/task_manager.py)."""

import base64
import json

from launcher.config import Database, NodeSection
from launcher.runs import RequestedDatabase, Run

PROXY_HOST = "proxyserver"
TMP_PATH = "/mnt/tmp"


class UnknownDatabase(Exception):  # noqa: N818
    """A task asks for a database that this node does not have."""


def data_path(run: Run) -> str:
    """Where an algorithm finds its input, token and output: the path of the reference node."""
    return f"/mnt/data/task-{run.id:09}"


def requested(node: NodeSection, run: Run) -> list[tuple[Database, RequestedDatabase]]:
    """The databases that the run's task asked for, in the order that it did.

    Raises:
        UnknownDatabase: the node has none of that label.
    """
    known = {database.label: database for database in node.databases}
    pairs = []
    for wanted in run.databases:
        if wanted.label not in known:
            labels = ", ".join(known) or "none"
            raise UnknownDatabase(
                f"The task asks for database {wanted.label!r}, which this node does not have; it has: {labels}."
            )
        pairs.append((known[wanted.label], wanted))
    return pairs


def environment(node: NodeSection, run: Run, proxy_port: int) -> dict[str, str]:
    """The variables of a run's algorithm, encoded as the algorithm tools expect them.

    Raises:
        UnknownDatabase: the task asks for a database that the node does not have.
    """
    data = data_path(run)
    pairs = requested(node, run)
    plain = {
        "INPUT_FILE": f"{data}/input",
        "OUTPUT_FILE": f"{data}/output",
        "TOKEN_FILE": f"{data}/token",
        "TEMPORARY_FOLDER": TMP_PATH,
        "HOST": f"http://{PROXY_HOST}",
        "PORT": str(proxy_port),
        "API_PATH": "",
        "NO_PROXY": f"localhost, {PROXY_HOST}",
        "no_proxy": f"localhost, {PROXY_HOST}",
        "USER_REQUESTED_DATABASE_LABELS": ",".join(wanted.label for wanted in run.databases),
        "DB_LABELS": ",".join(database.label for database in node.databases),
    }
    for database, wanted in pairs:
        plain |= _database_variables(database, wanted)
    plain |= node.algorithm_env
    return {name: encode(value) for name, value in plain.items()}


def _database_variables(database: Database, wanted: RequestedDatabase) -> dict[str, str]:
    """What one database adds. Only those that the task asked for: the others are none of its business."""
    label = database.label.upper()
    variables = {f"{label}_DATABASE_URI": database.mount_path, f"{label}_DATABASE_TYPE": database.type}
    variables |= {f"{label}_DB_PARAM_{key.upper()}": value for key, value in database.env.items()}
    for parameter in ("query", "sheet_name"):
        if value := wanted.parameters.get(parameter):
            variables[f"{label}_{parameter.upper()}"] = str(value)
    if preprocessing := wanted.parameters.get("preprocessing"):
        variables[f"{label}_PREPROCESSING"] = json.dumps(preprocessing)
    return variables


def encode(value: str) -> str:
    """Base32 with `!` for `=`, as the algorithm tools decode it: "abc" becomes "MFRGG!!!"."""
    return base64.b32encode(value.encode()).decode().replace("=", "!")
