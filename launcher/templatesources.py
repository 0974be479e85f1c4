"""The files of job templates: whose they are, what people call them, and what their lines say."""

import re
from pathlib import Path

_TAG = re.compile(r"\s*\{%-?\s*block\s+(\w+)")
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
        found = [tag[1] for text in _without_comments(self._lines(file))[:line] if (tag := _TAG.match(text))]
        return found[-1] if found else ""

    def indentation_of(self, block: str) -> int | None:
        """Spaces before what a shipped block holds; None if no shipped template has text in it."""
        for path in sorted(self._shipped.glob("*.j2")):
            lines = iter(_without_comments(self._lines(str(path))))
            for text in lines:
                if (tag := _TAG.match(text)) and tag[1] == block:
                    if (found := _first_text(list(lines))) is not None:
                        return found
                    break
        return None

    def _lines(self, file: str) -> list[str]:
        try:
            return Path(file).read_text().splitlines()
        except OSError:
            return []


def _without_comments(lines: list[str]) -> list[str]:
    """The same lines, those of comments empty."""
    return _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), "\n".join(lines)).split("\n")


def _first_text(lines: list[str]) -> int | None:
    """Spaces before the first line of a block that is no tag."""
    for line in lines:
        text = line.strip()
        if "endblock" in text:
            return None
        if text and not text.startswith(("{%", "{{ super")):
            return len(line) - len(line.lstrip())
    return None
