"""The files of job templates: whose they are, what people call them, and what their lines say."""

import re
from pathlib import Path

_TAG = re.compile(r"(?P<space>\s*)\{%-?\s*block\s+(?P<block>\w+)")
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)


class Sources:
    """The administrator's templates and the shipped ones, by the path of their files."""

    def __init__(self, shipped: Path, overrides: Path | None) -> None:
        self._shipped = shipped
        self._overrides = overrides

    def is_mine(self, file: str) -> bool:
        """Whether a file is the administrator's."""
        return self._overrides is not None and Path(file).is_relative_to(self._overrides)

    def name(self, file: str) -> str:
        """What a file is called: as in `jobs.templates`, and a shipped one as `shipped/<file>`."""
        path = Path(file)
        if self.is_mine(file):
            return str(path.relative_to(self._overrides or path))
        return f"shipped/{path.relative_to(self._shipped)}" if path.is_relative_to(self._shipped) else file

    def place(self, file: str, line: int) -> str:
        """File and line, for a sentence; a line of 0 is not known."""
        return f"{self.name(file)}, line {line}" if line else self.name(file)

    def line(self, file: str, line: int) -> str:
        """What a line says; empty if it can't be read."""
        lines = self._lines(file)
        return lines[line - 1] if 0 < line <= len(lines) else ""

    def block_at(self, file: str, line: int) -> str:
        """Name of the block that begins last before a line; empty if none does."""
        found = [tag["block"] for text in _without_comments(self._lines(file))[:line] if (tag := _TAG.match(text))]
        return found[-1] if found else ""

    def indentation_of(self, block: str) -> int | None:
        """Spaces before what a block holds: before its own tag in the shipped template that is extended."""
        tags = [
            tag for path in self._shipped.glob("*.j2") for line in self._lines(str(path)) if (tag := _TAG.match(line))
        ]
        return max((len(tag["space"]) for tag in tags if tag["block"] == block), default=None)

    def indentation_fault(self, line: str, file: str, number: int, *, is_first: bool) -> str:
        """What is to be said of a rendered line's spaces; empty: nothing, or it is not known how many there must be.

        Args:
            line: as it was rendered.
            file: that it was written in.
            number: of the line there.
            is_first: whether it is the first of its block, which alone can't be what is in another line.
        """
        space = line[: len(line) - len(line.lstrip())]
        if "\t" in space:
            return "the line begins with a tab: indent it by spaces alone"
        usual = self.indentation_of(self.block_at(file, number))
        if usual is None or len(space) == usual or (len(space) > usual and not is_first):
            return ""
        return f"look at the indentation: this line has {len(space)} spaces, what it stands in place of has {usual}"

    def _lines(self, file: str) -> list[str]:
        try:
            return Path(file).read_text().splitlines()
        except OSError:
            return []


def _without_comments(lines: list[str]) -> list[str]:
    """The same lines, those of comments empty."""
    return _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), "\n".join(lines)).split("\n")
