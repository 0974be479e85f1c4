"""run_context.json: what an algorithm needs to know, in one file.

An experiment of vantage6 4.15 (its docs, "Run context"), schema version 0.1. Only databases in files are described:
those of services have secrets.
"""

import json
from typing import Any

from launcher.algorithmenv import PROXY_HOST, data_path, requested
from launcher.config import NodeConfig
from launcher.layout import LAYOUTS
from launcher.runs import Run
from launcher.session import Identity

NAME = "run_context.json"


class NoRunContext(Exception):  # noqa: N818
    """The run can't be described; the message tells the researcher why."""


def run_context(config: NodeConfig, identity: Identity, run: Run, content: bytes) -> bytes:
    """The file's content.

    Args:
        config: the node's configuration.
        identity: who the node is.
        run: the run.
        content: its input.

    Raises:
        NoRunContext: the input is no JSON object, or the task asks for a database that is a service.
        UnknownDatabase: the task asks for a database that the node does not have.
    """
    try:
        task = json.loads(content)
        method, positional, named = task.get("method"), task.get("args") or [], task.get("kwargs") or {}
    except (ValueError, AttributeError) as error:
        raise NoRunContext(
            "This node describes each run in run_context.json, for which the input must be JSON with method, args and "
            "kwargs."
        ) from error
    data, layout = data_path(run), LAYOUTS[config.kubernetes.protocol]
    return json.dumps(
        {
            "schema_version": "0.1",
            "entrypoint": {"name": method},
            "arguments": {"positional": positional, "named": named},
            "executor": {"id": identity.node_id, "kind": "vantage6-node"},
            "inputs": _inputs(config, run),
            "outputs": [{"id": "result", "uri": f"{data}/output"}],
            "x-vantage6": {
                "run_id": run.id,
                "task_id": run.task_id,
                "collaboration_id": run.collaboration_id,
                "token_file": f"{data}/token",
                "api_proxy": {
                    "host": f"http://{PROXY_HOST}",
                    "port": str(config.kubernetes.proxy.port),
                    "api_path": "",
                },
                "temporary_directory": layout.tmp_path,
            },
        }
    ).encode()


def _inputs(config: NodeConfig, run: Run) -> list[dict[str, Any]]:
    found, layout = [], LAYOUTS[config.kubernetes.protocol]
    for database, wanted in requested(config.node, run):
        if database.is_service:
            raise NoRunContext(
                "This node describes each run in run_context.json, which knows databases in files only; "
                f"{database.label} is a service."
            )
        entry: dict[str, Any] = {"id": database.label, "uri": layout.database_path(database), "type": database.type}
        if arguments := wanted.parameters.get("arguments"):
            entry["arguments"] = arguments
        found.append(entry)
    return found
