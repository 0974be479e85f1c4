"""What a template rendered to, with the origin of each line: a fault is told where the administrator wrote it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import GeneratorType
from typing import Any

import jinja2

from launcher.placeholders import Placeholders
from launcher.templatesources import Sources

_LAST_STEP = re.compile(r'(\["[^"]*"\]|\[[^\[\]]*\]|\.\w+|^\w+)$')


@dataclass(frozen=True, slots=True)
class Origin:
    """What made a line of rendered text: a place in a compiled template, and lines counted from there."""

    template: jinja2.Template
    position: int
    offset: int

    @property
    def file(self) -> str:
        """Path of the template's file."""
        return self.template.filename or ""

    @property
    def line(self) -> int:
        """Line in that file, from 1."""
        return self.template.get_corresponding_lineno(self.position) + self.offset


class Inserted(str):
    """Text that an expression puts in: of a parent's block, whose lines have origins of their own, or of a macro."""

    __slots__ = ("origins",)
    origins: list[Origin]

    def __new__(cls, text: str, origins: list[Origin]) -> "Inserted":
        self = super().__new__(cls, text)
        self.origins = origins
        return self

    def __str__(self) -> str:
        """Itself: Jinja makes a str of everything that it writes."""
        return self


def traced(pieces: Iterator[str]) -> tuple[str, list[Origin]]:
    """The rendered text, and the origin of each of its lines."""
    parts: list[str] = []
    origins: list[Origin] = []
    at_start = True
    for piece in pieces:
        generator: Any = pieces
        while isinstance(generator.gi_yieldfrom, GeneratorType):  # into the blocks and parents
            generator = generator.gi_yieldfrom
        frame = generator.gi_frame
        for number, part in enumerate(piece.splitlines(keepends=True)):
            if at_start and isinstance(piece, Inserted) and piece.origins:
                origins.append(piece.origins[number])
            elif at_start:
                offset = 0 if isinstance(piece, Inserted) else number
                origins.append(Origin(frame.f_globals["__jinja_template__"], frame.f_lineno, offset))
            at_start = part.endswith("\n")
        parts.append(piece)
    return "".join(parts), origins


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text that a template rendered to, and where its lines were written."""

    text: str
    origins: list[Origin]
    placeholders: Placeholders
    sources: Sources

    def place_of(self, path: str) -> str:
        """File and line in the administrator's templates where something was written; empty: not in these.

        With a word on the spaces of a field that is too deep for its block, so that it is taken for one of another.

        Args:
            path: as in `launcher.allowlist.Violation`. What is missing there is looked for around it.
        """
        if (index := self._mine_at(path)) is None:
            return ""
        origin, line = self.origins[index], self.text.splitlines()[index]
        place = self.sources.place(origin.file, origin.line)
        if line.lstrip().startswith("-") or not self._begins_a_stretch(index):
            return place
        hint = self.sources.indentation_fault(line, origin.file, origin.line, is_first=True)
        return f"{place} ({hint})" if hint else place

    def origin_of(self, path: str) -> Origin | None:
        """The administrator's line that a path of the manifest comes from, if there is one."""
        index = self._mine_at(path)
        return None if index is None else self.origins[index]

    def _mine_at(self, path: str) -> int | None:
        """Which line of the text that is, from 0."""
        lines = self.placeholders.lines(self.text)
        if path not in lines:
            path = _LAST_STEP.sub("", path)
        around = [line for found, line in lines.items() if found == path or found.startswith((f"{path}.", f"{path}["))]
        known = [line - 1 for line in around if line <= len(self.origins)]
        return next((index for index in known if self._is_mine(index)), None)

    def _is_mine(self, index: int) -> bool:
        return self.sources.is_mine(self.origins[index].file)

    def _begins_a_stretch(self, index: int) -> bool:
        return index == 0 or not self._is_mine(index - 1)


@dataclass(frozen=True, slots=True)
class Rendering:
    """A manifest, and the text that it was read from."""

    manifest: dict[str, Any]
    rendered: Rendered
