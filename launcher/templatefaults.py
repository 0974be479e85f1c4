"""What is wrong with a job template, in one sentence: file and line, the reason, and what that line says."""

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from types import TracebackType
from typing import NoReturn

import jinja2

from launcher import jobcontext
from launcher.placeholders import ManifestError, Placeholders
from launcher.rendering import Origin, Rendered
from launcher.templatesources import Sources


class TemplateError(ValueError):
    """A job template cannot be rendered; the message is one sentence with file, line and remedy."""


def explain(name: str, error: Exception, sources: Sources) -> NoReturn:
    """Raise the TemplateError for what went wrong while template `name` was loaded or run."""
    file, line = _last_line(error.__traceback__)
    if isinstance(error, jinja2.TemplatesNotFound | jinja2.TemplateNotFound):
        if error.name == name:
            file, line = "", 0
        reason = f"no template is called {error.name!r}; shipped ones are reached as 'shipped/<file>'"
    elif isinstance(error, jinja2.TemplateSyntaxError):
        file, line = error.filename or "", error.lineno
        reason = str(error.message).rstrip(".")
    else:
        reason = _reason(error)
    where = sources.place(file, line) if file else name
    raise TemplateError(f"{where}: {reason}{_at(sources.line(file, line))}") from error


def _at(line: str) -> str:
    return f", at: {line.strip()}" if line.strip() else "."


def _reason(error: Exception) -> str:
    if isinstance(error, ManifestError):
        return f"the template {error}"
    if isinstance(error, jinja2.UndefinedError):
        return _unknown_name(str(error))
    if isinstance(error, RecursionError):
        return "the template extends or includes itself; an override extends 'shipped/<file>'"
    return f"{type(error).__name__}: {error}; correct this expression"


_NO_ATTRIBUTE = re.compile(r"'launcher\.jobcontext\.(\w+) object' has no attribute '(\w+)'")
_UNDEFINED = re.compile(r"'(\w+)' is undefined")
_REFERENCE = "docs/template-reference.md has all names"


def _unknown_name(message: str) -> str:
    """What Jinja says of a name that there is not, with the one that was probably meant."""
    if "no parent block called" in message:
        return f'{message.rstrip(".")}; begin the file with {{% extends "shipped/<file>" %}}'
    if found := _NO_ATTRIBUTE.fullmatch(message):
        known, wanted, what = dir(getattr(jobcontext, found[1])), found[2], f"no field is called {found[2]!r} there"
    elif found := _UNDEFINED.fullmatch(message):
        known, wanted, what = dir(jobcontext.Context), found[1], message
    else:
        return f"{message}; {_REFERENCE}"
    near = get_close_matches(wanted, [name for name in known if not name.startswith("_")], n=1)
    return f"{what}; {f'did you mean {near[0]}? ' if near else ''}{_REFERENCE}"


def _last_line(traceback: TracebackType | None) -> tuple[str, int]:
    """Template file and line of the innermost frame that is a template."""
    found = "", 0
    while traceback is not None:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, jinja2.Template):
            found = template.filename or "", template.get_corresponding_lineno(traceback.tb_lineno)
        traceback = traceback.tb_next
    return found


def explain_text(name: str, error: ManifestError, rendered: Rendered) -> NoReturn:
    """Raise the TemplateError for rendered text that is not the YAML of a manifest.

    YAML notices wrong indentation late, mostly at an innocent line of the shipped template. So where the administrator
    wrote some of the lines, it is looked up which of them the rest can be read without.
    """
    lines, origins, sources = rendered.text.splitlines(keepends=True), rendered.origins, rendered.sources
    number = min(error.line, len(origins))  # where the text ends too early, the parser points behind its end
    first, guilty = _culprit(lines, origins, lambda text: _readable(text, rendered.placeholders), sources) or (0, None)
    told_exactly = number and sources.is_mine(origins[number - 1].file) and not error.syntax
    if guilty is not None and not told_exactly:
        number = guilty + 1
    if not number:
        raise TemplateError(f"{name}: the template {error}.") from None
    hint = ""
    for index in (first, guilty) if error.syntax and guilty is not None else ():
        written = origins[index]
        if hint := sources.indentation_fault(lines[index], written.file, written.line, is_first=index == first):
            number = index + 1
            break
    origin = origins[number - 1]
    line = sources.line(origin.file, origin.line) or rendered.placeholders.legible(lines[number - 1])
    raise TemplateError(
        f"{sources.place(origin.file, origin.line)}: the template {error}{f'; {hint}' if hint else ''}{_at(line)}"
    ) from None


def _readable(text: str, placeholders: Placeholders) -> bool:
    try:
        placeholders.tree(text)
    except ManifestError:
        return False
    return True


def _culprit(
    lines: Sequence[str], origins: Sequence[Origin], readable: Callable[[str], bool], sources: Sources
) -> tuple[int, int] | None:
    """The first of the lines next to each other, and that from which on the text can't be read; None if there is none.

    What the administrator wrote is taken out, and put back line by line.
    """
    if len(lines) != len(origins):
        return None
    mine = [sources.is_mine(origin.file) for origin in origins]
    kept = [index for index in range(len(lines)) if not mine[index]]

    def read(more: Sequence[int]) -> bool:
        return readable("".join(lines[index] for index in sorted([*kept, *more])))

    if not read(()):
        return None
    for stretch in _stretches(mine):
        if read(stretch):
            kept += stretch
            continue
        good = max(count for count in range(len(stretch)) if read(stretch[:count]))
        return next(index for index in stretch if lines[index].strip()), stretch[good]
    return None


def _stretches(mine: Sequence[bool]) -> list[list[int]]:
    """The lines that are somebody's, those next to each other together."""
    found: list[list[int]] = []
    for index, own in enumerate(mine):
        if own and index and mine[index - 1]:
            found[-1].append(index)
        elif own:
            found.append([index])
    return found
