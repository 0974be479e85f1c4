"""Where algorithms find things: what tasks of one protocol take for granted, and those of another don't."""

from collections.abc import Callable
from dataclasses import dataclass

from launcher.config.node import Database


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths inside an algorithm's container, and the template that makes them so."""

    template: str
    """Name of the job template."""
    tmp_path: str
    """Where the directory is that the runs of one job share."""
    output_path: str
    """Where a run's output directory is; empty where runs have none."""
    database_path: Callable[[Database], str]
    """Where the file or folder of a database is."""


LAYOUTS = {
    # vantage6 4.x: https://docs.vantage6.ai, and the reference node's read-only mounts.
    "v4": Layout("job.yaml.j2", "/mnt/tmp", "", lambda database: database.mount_path),
    # The proof of concept: /app/input/csv/<label>, /app/output, /app/tmp.
    "poc": Layout(
        "poc.yaml.j2", "/app/tmp", "/app/output", lambda database: f"/app/input/{database.type}/{database.label}"
    ),
}
"""By protocol."""
