"""The table of an isolation check, fetched from a running launcher and shown: what `helm test` runs."""

import json
import urllib.error
import urllib.request
from typing import Any

from rich.console import Console
from rich.table import Table

_SECONDS = 240


class NoAnswer(Exception):  # noqa: N818
    """The launcher did not answer; the message says what to look at."""


def ask(url: str) -> dict[str, Any]:
    """Have the launcher check the isolation now, and return what it found.

    Raises:
        NoAnswer: it can't be reached, or is not far enough yet.
    """
    request = urllib.request.Request(f"{url}/isolation", method="POST")  # noqa: S310  the chart's own address
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        reason = json.loads(error.read() or b"{}").get("reason", "")
        raise NoAnswer(f"The launcher can't check yet ({error.code}). {reason}") from error
    except OSError as error:
        raise NoAnswer(
            f"The launcher at {url} does not answer ({error}); see the log of v6-node-launcher-0."
        ) from error


def show(report: dict[str, Any], console: Console) -> None:
    """Print the table, and below it the verdict."""
    table = Table("way", "databases", "target", "expected", "observed", "ms")
    for row in report["rows"]:
        table.add_row(
            row["name"], row["databases"], row["target"], row["expected"], row["observed"], str(row["milliseconds"])
        )
    if report["rows"]:
        console.print(table)
    for what in ("accepted", "waived", "untried"):
        if report[what]:
            console.print(f"{what}: {', '.join(report[what])}")
    console.print("The isolation holds." if report["passed"] else report["reason"])
