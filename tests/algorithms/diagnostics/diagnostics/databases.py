"""Whether databases in files can be read, and the columns of those that are csv."""

import csv
import errno
import os
from pathlib import Path
from typing import Any

_LONGEST_LINE = 2**20  # bytes: a file without line ends is no table


def databases(asked: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Open each database, and read the first line of a csv file and nothing else.

    Args:
        asked: `label` and `type` of each.

    Returns:
        A row for each, with `observed`: "readable", or the error's name (ENOENT, EACCES …); for a csv file `columns`.
    """
    return [_look_at(one["label"], one["type"]) for one in asked]


def _look_at(label: str, kind: str) -> dict[str, Any]:
    path = Path(os.environ[f"{label.upper()}_DATABASE_URI"])
    row: dict[str, Any] = {"label": label, "observed": "readable"}
    try:
        if kind == "folder":
            os.listdir(path)  # noqa: PTH208 - a generator would not raise
        elif kind == "csv":
            row["columns"] = _columns(path)
        else:
            with path.open("rb") as file:
                file.read(1)
    except OSError as error:
        row["observed"] = errno.errorcode.get(error.errno or 0, "EIO")
    print(f"{label:24} {row['observed']}")
    return row


def _columns(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return next(csv.reader([file.readline(_LONGEST_LINE)]), [])
