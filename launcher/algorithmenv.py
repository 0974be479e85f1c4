"""The environment that vantage6 promises an algorithm (reference: vantage6-node 4.15, docker/task_manager.py)."""

import base64
import json
from collections.abc import Mapping
from types import MappingProxyType

from launcher.config import NodeConfig
from launcher.config.node import Database, NodeSection
from launcher.jobcontext import SecretKey
from launcher.layout import LAYOUTS, Layout
from launcher.runs import RequestedDatabase, Run

PROXY_HOST = "proxyserver"
EGRESS_HOST = "squid"


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


def environment(config: NodeConfig, run: Run, further: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """The variables of a run's algorithm whose values are no secret, encoded as the algorithm tools expect them.

    Args:
        config: the node's configuration.
        run: the run.
        further: variables of the run's profile.

    Raises:
        UnknownDatabase: the task asks for a database that the node does not have.
    """
    node, kubernetes = config.node, config.kubernetes
    layout = LAYOUTS[kubernetes.protocol]
    data = data_path(run)
    direct = ", ".join(_reached_directly(config, run))
    plain = {
        "INPUT_FILE": f"{data}/input",
        "OUTPUT_FILE": f"{data}/output",
        "TOKEN_FILE": f"{data}/token",
        "TEMPORARY_FOLDER": layout.tmp_path,
        "HOST": f"http://{PROXY_HOST}",
        "PORT": str(kubernetes.proxy.port),
        "API_PATH": "",
        "NO_PROXY": direct,
        "no_proxy": direct,
        "USER_REQUESTED_DATABASE_LABELS": ",".join(wanted.label for wanted in run.databases),
        "DB_LABELS": ",".join(database.label for database in node.databases),
    }
    if kubernetes.egress:
        address = f"http://{EGRESS_HOST}:{kubernetes.egress.port}"
        plain |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), address)
    for database, wanted in requested(node, run):
        plain |= _database_variables(database, wanted, layout)
    plain |= {**node.algorithm_env, **further}
    encoded = {name: encode(value) for name, value in plain.items()}
    if node.run_context_file and "RUN_CONTEXT_FILE" not in plain:
        # The one that vantage6 leaves as it is: for algorithms without vantage6's own tools.
        encoded["RUN_CONTEXT_FILE"] = f"{data}/run_context.json"
    return encoded


def secret_environment(
    config: NodeConfig, run: Run, further: Mapping[str, str] = MappingProxyType({})
) -> dict[str, SecretKey]:
    """The variables of a run's algorithm that come from the Secrets of the databases its task asked for.

    Args:
        config: the node's configuration.
        run: the run.
        further: variables of the run's profile, which go before these.

    Raises:
        UnknownDatabase: the task asks for a database that the node does not have.
    """
    variables: dict[str, SecretKey] = {}
    for database, _ in requested(config.node, run):
        if secret := config.kubernetes.place_of(database.label).secret:
            variables |= {name: SecretKey(secret.name, key) for name, key in secret.variables.items()}
    plain = config.node.algorithm_env.keys() | further.keys()
    return {name: where for name, where in variables.items() if name not in plain}


def _reached_directly(config: NodeConfig, run: Run) -> list[str]:
    """The hosts that an algorithm must not look for behind the egress proxy."""
    labels = [database.label for database, _ in requested(config.node, run)]
    hosts = [destination.host for label in labels for destination in config.kubernetes.place_of(label).reach]
    return list(dict.fromkeys(["localhost", PROXY_HOST, *hosts]))


def _database_variables(database: Database, wanted: RequestedDatabase, layout: Layout) -> dict[str, str]:
    """What one database adds. Only those that the task asked for: the others are none of its business."""
    label = database.label.upper()
    variables: dict[str, str] = {f"{label}_DATABASE_TYPE": database.type}
    if not database.is_service:
        variables[f"{label}_DATABASE_URI"] = layout.database_path(database)
    for parameter in ("query", "sheet_name"):
        if value := wanted.parameters.get(parameter):
            variables[f"{label}_{parameter.upper()}"] = str(value)
    if preprocessing := wanted.parameters.get("preprocessing"):
        variables[f"{label}_PREPROCESSING"] = json.dumps(preprocessing)
    return variables


def encode(value: str) -> str:
    """Base32 with `!` for `=`, as the algorithm tools decode it: "abc" becomes "MFRGG!!!"."""
    return base64.b32encode(value.encode()).decode().replace("=", "!")
