"""Job templates: Jinja whose values cannot become markup.

`JobTemplates.render` turns a template and a `Context` into the tree of a manifest. What a `{{ … }}` yields is data and
travels as a placeholder (see `launcher.placeholders`); only a template's own text is YAML. Rendered text that comes
back from a block, `super()`, a macro or `{% set %}` has a private type and stays text; whatever a filter or an operator
makes of it is data again, or an error if values are in it. So nobody who writes a template can forget to quote.
"""

from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, fields
from pathlib import Path
from types import GeneratorType, TracebackType
from typing import Any, NoReturn

import jinja2
from jinja2 import meta, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import TemplateModule
from jinja2.runtime import Context as JinjaContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from launcher.jobcontext import Context
from launcher.placeholders import ManifestError, Placeholders

# Filters that return markup, and tags that switch what the environment does with values.
_REFUSED_FILTERS = ("e", "escape", "forceescape", "safe", "tojson", "urlize", "xmlattr", "random")
_REFUSED_TAGS: tuple[tuple[type[nodes.Node], str, str], ...] = (
    (nodes.ScopedEvalContextModifier, "autoescape", "remove it, values need no escaping"),
    (nodes.FilterBlock, "filter", "apply the filter to a value: {{ value | filter }}"),
    (nodes.CallBlock, "call", "call the macro in an expression: {{ macro() }}"),
)


class TemplateError(ValueError):
    """A job template cannot be rendered; the message is one sentence with file, line and remedy."""


_rendering: ContextVar[Placeholders] = ContextVar("rendering")


class _Rendered:
    """Text that a template's own lines made: of a block, macro or `{% set %}`.

    Not a string, so that nothing but `_finalize` gets at placeholders in it: what a filter cut up or turned into
    capitals could not be recognised any more. Text without values in it may be used like any other string.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __bool__(self) -> bool:
        return bool(self.text)

    def __str__(self) -> str:
        return _rendering.get().without_values(self.text)


class _Module(TemplateModule):
    """An imported file gives its macros and variables, not its text."""

    def __str__(self) -> str:
        raise ManifestError(f"uses the imported {self.__name__!r} as text; include it instead")

    __html__ = __str__  # type: ignore[assignment] # it only raises


class _Template(jinja2.Template):
    def make_module(self, *args: Any, **kwargs: Any) -> TemplateModule:
        return _Module(self, self.new_context(*args, **kwargs))

    def _get_default_module(self, ctx: JinjaContext | None = None) -> Any:
        self._module = None  # Jinja keeps an imported template's text, and with it the values of another rendering
        return super()._get_default_module(ctx)


@jinja2.pass_context  # needs the context of a rendering: keeps Jinja from evaluating constants when it compiles
def _finalize(_: JinjaContext, value: object) -> str:
    if isinstance(value, _Rendered):
        return value.text
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises, with the name in the message
    return _rendering.get().put(value)


def _concat(pieces: Iterable[str]) -> _Rendered:
    return _Rendered("".join(pieces))


def merge(base: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    """Filter: one mapping of several; where two have the same key, the later one holds."""
    result = dict(base)
    for other in others:
        result.update(other)
    return result


class _CodeGenerator(CodeGenerator):
    """Compiles each stretch of text on its own, with a note of its line, which Jinja keeps for `{{` only."""

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:  # noqa: N802 # Jinja's visitor
        for child in node.nodes:
            self.newline(child)
            super().visit_Output(nodes.Output([child], lineno=child.lineno), frame)


class _Environment(ImmutableSandboxedEnvironment):
    concat = staticmethod(_concat)  # type: ignore[assignment] # a str in Jinja
    template_class = _Template
    code_generator_class = _CodeGenerator

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for kind, tag, remedy in _REFUSED_TAGS:
            for node in tree.find_all(kind):
                raise jinja2.TemplateSyntaxError(f"uses the tag {tag!r}; {remedy}", node.lineno, name, filename)
        for used in tree.find_all(nodes.Filter):
            if used.name in _REFUSED_FILTERS:
                message = f"uses the filter {used.name!r}; remove it, a value arrives unchanged and with its type"
                raise jinja2.TemplateSyntaxError(message, used.lineno, name, filename)
        return tree


class JobTemplates:
    """The job templates of a node: the administrator's before the shipped ones."""

    def __init__(self, shipped: Path, overrides: Path | None) -> None:
        """Look for templates in `overrides`, then in `shipped`; a name with `shipped/` before it always means ours."""
        own = jinja2.FileSystemLoader(shipped)
        self._overrides = jinja2.FileSystemLoader(overrides) if overrides is not None else None
        loaders: list[jinja2.BaseLoader] = [jinja2.PrefixLoader({"shipped": own}), own]
        if self._overrides is not None:
            loaders.insert(1, self._overrides)
        self._environment = _Environment(
            loader=jinja2.ChoiceLoader(loaders),
            undefined=jinja2.StrictUndefined,
            finalize=_finalize,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,  # an included file ends its last line
            auto_reload=False,  # what was checked at start is what runs
        )
        for name in _REFUSED_FILTERS:
            del self._environment.filters[name]
        del self._environment.globals["lipsum"]
        self._environment.filters["merge"] = merge

    def texts(self) -> dict[str, str]:
        """Every template, the administrator's and the shipped ones, by name."""
        loader = self._environment.loader
        assert loader is not None
        return {name: loader.get_source(self._environment, name)[0] for name in loader.list_templates()}

    def refuse_unused(self, names: Iterable[str]) -> None:
        """Look whether every template of the administrator's is reached from templates of these names.

        Raises:
            TemplateError: one is not, or can't be read; a wrong name would otherwise be ignored in silence.
        """
        entries = sorted(names)
        found, left = set[str](), list(entries)
        while left:
            if (name := left.pop()) in found:
                continue
            found.add(name)
            referred = self._referred(name)
            if None in referred:  # a name that is only worked out when the template is rendered
                return
            left += [each for each in referred if each is not None]
        mine = set(self._overrides.list_templates()) if self._overrides is not None else set()
        for name in sorted(mine - found):
            raise TemplateError(
                f"jobs.templates: nothing uses {name!r}; a run's Job is made by {' or '.join(entries)}, and by what "
                "that extends, includes or imports: correct the name, or leave the template out."
            )

    def _referred(self, name: str) -> list[str | None]:
        try:
            source, _, _ = self._environment.loader.get_source(self._environment, name)  # type: ignore[union-attr]
            return list(meta.find_referenced_templates(self._environment.parse(source, name, name)))
        except jinja2.TemplateNotFound:
            return []  # whoever renders it is told
        except jinja2.TemplateSyntaxError as error:
            _explain(name, error)

    def render(self, name: str, context: Context) -> dict[str, Any]:
        """The manifest that template `name` makes of `context`.

        Raises:
            TemplateError: the template is missing, wrong, or does not render to one YAML mapping.
        """
        placeholders = Placeholders()
        token = _rendering.set(placeholders)
        try:
            template = self._environment.get_template(name)
            values = {field.name: getattr(context, field.name) for field in fields(context)}
            text, origins = _traced(template.root_render_func(template.new_context(values)))
        except Exception as error:  # templates are programs: anything may come out of them
            _explain(name, error)
        finally:
            _rendering.reset(token)
        return _manifest(name, placeholders, text, origins)


@dataclass(frozen=True, slots=True)
class _Origin:
    """What made a line of rendered text: a place in a compiled template, and lines counted from there."""

    template: jinja2.Template
    position: int
    offset: int

    def __str__(self) -> str:
        return _place(self.template.filename or "", self.template.get_corresponding_lineno(self.position) + self.offset)


def _traced(pieces: Iterator[str]) -> tuple[str, list[_Origin]]:
    """The rendered text, and the origin of each of its lines."""
    parts: list[str] = []
    origins: list[_Origin] = []
    at_start = True
    for piece in pieces:
        generator: Any = pieces
        while isinstance(generator.gi_yieldfrom, GeneratorType):  # into the blocks and parents
            generator = generator.gi_yieldfrom
        frame = generator.gi_frame
        for offset, part in enumerate(piece.splitlines(keepends=True)):
            if at_start:
                origins.append(_Origin(frame.f_globals["__jinja_template__"], frame.f_lineno, offset))
            at_start = part.endswith("\n")
        parts.append(piece)
    return "".join(parts), origins


def _manifest(name: str, placeholders: Placeholders, text: str, origins: list[_Origin]) -> dict[str, Any]:
    try:
        tree = placeholders.tree(text)
    except ManifestError as error:
        line = min(error.line, len(origins))  # where the text ends too early, the parser points behind its end
        if not line:
            raise TemplateError(f"{name}: the template {error}.") from None
        shown = placeholders.legible(text.splitlines()[line - 1].strip())
        raise TemplateError(f"{origins[line - 1]}: the template {error}, at: {shown}") from None
    if not isinstance(tree, dict):
        raise TemplateError(f"{name}: the template renders to no mapping; it must be one batch/v1 Job.")
    return tree


def _explain(name: str, error: Exception) -> NoReturn:
    """Raise the TemplateError for what went wrong while a template was loaded or run."""
    if isinstance(error, jinja2.TemplatesNotFound | jinja2.TemplateNotFound):
        where = _place(*_last_line(error.__traceback__)) if error.name != name else name
        message = f"{where}: no template is called {error.name!r}; shipped ones are reached as 'shipped/<file>'."
    elif isinstance(error, jinja2.TemplateSyntaxError):
        message = f"{_place(error.filename or error.name or name, error.lineno)}: {error.message}."
    else:
        file, line = _last_line(error.__traceback__)
        message = f"{_place(file or name, line)}: {_reason(error)}."
    raise TemplateError(message) from error


def _reason(error: Exception) -> str:
    if isinstance(error, ManifestError):
        return f"the template {error}"
    if isinstance(error, jinja2.UndefinedError):
        return f"{error}; use a name of the documented context"
    if isinstance(error, RecursionError):
        return "the template extends or includes itself; an override extends 'shipped/<file>'"
    return f"{type(error).__name__}: {error}; correct this expression"


def _last_line(traceback: TracebackType | None) -> tuple[str, int]:
    """Template file and line of the innermost frame that is a template."""
    found = "", 0
    while traceback is not None:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, jinja2.Template):
            found = template.filename or "", template.get_corresponding_lineno(traceback.tb_lineno)
        traceback = traceback.tb_next
    return found


def _place(file: str, line: int) -> str:
    return f"{file}, line {line}" if line else file
