"""Probes of what is in the pod."""

import errno
import os
from pathlib import Path
from typing import Any

DATA = Path("/mnt/data")


def file(way: dict[str, Any]) -> str:
    """Whether a path exists."""
    return "present" if os.path.lexists(way["host"]) else "absent"


def write(way: dict[str, Any]) -> str:
    """Whether a file can be made in a folder."""
    path = Path(way["host"]) / ".v6-node-diagnostics"
    try:
        path.touch(exist_ok=False)
        path.unlink()
    except OSError as error:
        return "read-only" if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM} else _name(error)
    return "written"


def variables(way: dict[str, Any]) -> str:
    """Whether a variable that tells of the cluster's Services has a value."""
    told = [name for name, value in os.environ.items() if value and name.endswith(("_SERVICE_HOST", "_PORT_443_TCP"))]
    if told:
        print(f"{way['name']}: {', '.join(sorted(told))}")
    return "present" if told else "absent"


def other_runs(way: dict[str, Any]) -> str:
    """Whether the folder of runs shows any but this run's own."""
    own = Path(os.environ.get("INPUT_FILE", f"{DATA}/none/input")).parent
    try:
        others = [path for path in DATA.iterdir() if path != own]
    except OSError:
        return "absent"
    if others:
        print(f"{way['name']}: {', '.join(map(str, others))}")
    return "present" if others else "absent"


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, repr(error))
