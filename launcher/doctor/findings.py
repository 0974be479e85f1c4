"""What the doctor says: a line for each thing that was looked at, and what to do about it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """The node may work, or something is not known."""
    FAIL = "fail"
    """The node will not work, or not be safe."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line."""

    check: str
    """What was looked at, in a word or two."""
    level: Level
    sentence: str
    remedy: str = ""
    """What to do; only empty where it is well."""

    def tree(self) -> dict[str, Any]:
        """The finding for `--json`."""
        return {**asdict(self), "level": self.level.value}


def ok(check: str, sentence: str) -> Finding:
    """It is well."""
    return Finding(check, Level.OK, sentence)


def warn(check: str, sentence: str, remedy: str) -> Finding:
    """The node may work, or something is not known."""
    return Finding(check, Level.WARN, sentence, remedy)


def fail(check: str, sentence: str, remedy: str) -> Finding:
    """The node will not work, or not be safe."""
    return Finding(check, Level.FAIL, sentence, remedy)


def exit_code(findings: Iterable[Finding]) -> int:
    """1 if anything fails, else 0: a warning is for people."""
    return int(any(each.level is Level.FAIL for each in findings))
