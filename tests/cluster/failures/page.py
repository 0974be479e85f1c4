"""What the researcher reads when a run fails: collected while it is provoked, and the table in docs/failures.md."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "failures.md"
BEGIN, END = "<!-- failures: made by tests/cluster/failures -->", "<!-- end of failures -->"

# What differs from one time to the next, and how it is shown.
_VARIES = (
    (r"v6-test-[0-9a-f]+", "hospital"),
    (r"/tmp/v6-stagehand-[0-9a-f]+/", "/srv/"),
    (r"(v6-node-hospital-[a-z]+)-[0-9a-f]{8}", r"\1"),
    (r"run-\d+(-[a-z0-9]{5})?", "run-7"),
    (r"localhost(:\d+)?/", "registry.example.org/"),
    (r"\b\d+/\d+ nodes are available: \d+", "0/1 nodes are available: 1"),
)


@dataclass(frozen=True)
class Row:
    """A failure, by what brings it about."""

    status: str
    sentence: str


def row(run: dict[str, Any]) -> Row:
    """What a researcher sees of a run that failed: its status, and the last line of its log."""
    sentence = run["log"].splitlines()[-1]
    for pattern, shown in _VARIES:
        sentence = re.sub(pattern, shown, sentence)
    return Row(run["status"], sentence)


def table(rows: dict[str, Row]) -> str:
    """The table, sorted by cause."""
    lines = ["| cause | status | sentence |", "|---|---|---|"]
    lines += [f"| {cause} | {found.status} | {found.sentence} |" for cause, found in sorted(rows.items())]
    return "\n".join(lines)


def published() -> str:
    """The table that the page has."""
    return PAGE.read_text().partition(BEGIN)[2].partition(END)[0].strip()


def publish(text: str) -> None:
    """Put the table into the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")
