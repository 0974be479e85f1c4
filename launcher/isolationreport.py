"""The table of an isolation check, as `helm test` and `check-isolation` show it."""

from typing import Any

from rich.console import Console
from rich.table import Table

SECONDS = 240.0
"""How long a check may take."""


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
