"""The matrix of ways out, and the section of the README that shows it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from launcher.isolationcheck import CAME_THROUGH, REFUSED, STOPPED
from launcher.waysout import BY_NAME, OPEN, WAYS

README = Path(__file__).parents[3] / "README.md"
BEGIN, END = "<!-- ways out: made by tests/cluster/isolation -->", "<!-- end of ways out -->"
COLUMNS = ("no database", "a service as database", "a whitelist", "control")
NOT_TRIED = "not tried"
KEPT_IN = STOPPED | {REFUSED}  # in the control, what refuses here is seen to answer

Cells = dict[str, dict[str, set[str]]]
"""What was observed: column -> way -> words."""


def collect(rows: Iterable[dict[str, Any]]) -> dict[str, set[str]]:
    """The words observed of each way, which may have several targets."""
    words: dict[str, set[str]] = {}
    for row in rows:
        words.setdefault(row["name"], set()).add(row["observed"])
    return words


def wrong(column: str, words: dict[str, set[str]]) -> list[str]:
    """What is not as it should be: in the control everything gets through, elsewhere only what is granted."""
    faults = []
    for name, observed in words.items():
        should_open = column == "control" or BY_NAME[name].expected == OPEN
        bad = {word for word in observed if word != "n/a" and word not in (CAME_THROUGH if should_open else KEPT_IN)}
        faults += [f"{column}: {name} is {word}" for word in sorted(bad)]
    return faults


def section(cells: Cells) -> str:
    """The table, as the README has it."""
    lines = [f"| way | {' | '.join(COLUMNS)} |", "|---|" + "---|" * len(COLUMNS)]
    for way in WAYS:
        shown = [_cell(column, cells[column].get(way.name, set())) for column in COLUMNS]
        lines.append(f"| {way.what} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _cell(column: str, words: set[str]) -> str:
    if not words:
        return NOT_TRIED
    through = {word in CAME_THROUGH for word in words - {"n/a"}}
    if not through:
        return "n/a"
    mark = "open" if through == {True} else "shut" if words <= KEPT_IN | {"n/a"} else "not shown to be shut"
    return mark if column == "control" or mark == "open" else f"**{mark}**: {', '.join(sorted(words))}"


def published() -> str:
    """The table that the README has."""
    return README.read_text().partition(BEGIN)[2].partition(END)[0].strip()


def publish(table: str) -> None:
    """Put the table into the README."""
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}")
