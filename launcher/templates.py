"""Job templates: Jinja whose values cannot become markup.

`JobTemplates.render` turns a template and a `Context` into the tree of a manifest. What a `{{ … }}` yields is data and
travels as a placeholder (see `launcher.placeholders`); only a template's own text is YAML. Rendered text that comes
back from a block, `super()`, a macro or `{% set %}` has a private type and stays text; whatever a filter or an operator
makes of it is data again, or an error if values are in it. So nobody who writes a template can forget to quote.
"""

from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import fields
from pathlib import Path
from types import GeneratorType
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import TemplateModule
from jinja2.runtime import Context as JinjaContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from launcher.jobcontext import Context
from launcher.placeholders import ManifestError, Placeholders
from launcher.rendering import Inserted, Origin, Rendered, Rendering, traced
from launcher.templatefaults import TemplateError, explain, explain_text
from launcher.templatesources import Sources

__all__ = ["JobTemplates", "TemplateError", "merge"]

# Filters that return markup, and tags that switch what the environment does with values.
_REFUSED_FILTERS = ("e", "escape", "forceescape", "safe", "tojson", "urlize", "xmlattr", "random")
_REFUSED_TAGS: tuple[tuple[type[nodes.Node], str, str], ...] = (
    (nodes.ScopedEvalContextModifier, "autoescape", "remove it, values need no escaping"),
    (nodes.FilterBlock, "filter", "apply the filter to a value: {{ value | filter }}"),
    (nodes.CallBlock, "call", "call the macro in an expression: {{ macro() }}"),
)


_rendering: ContextVar[Placeholders] = ContextVar("rendering")


class _Rendered:
    """Text that a template's own lines made: of a block, macro or `{% set %}`.

    Not a string, so that nothing but `_finalize` gets at placeholders in it: what a filter cut up or turned into
    capitals could not be recognised any more. Text without values in it may be used like any other string.
    """

    def __init__(self, text: str, origins: list[Origin]) -> None:
        self.text = text
        self.origins = origins

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
        return Inserted(value.text, value.origins)
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises, with the name in the message
    return _rendering.get().put(value)


def _concat(pieces: Iterable[str]) -> _Rendered:
    """The text of a block or, in a list, of a macro or `{% set %}`."""
    return _Rendered(*traced(pieces)) if isinstance(pieces, GeneratorType) else _Rendered("".join(pieces), [])


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
        for line in _without_effect(tree):
            message = "what is outside of a block has no effect in a template that extends another; put it into a block"
            raise jinja2.TemplateSyntaxError(message, line, name, filename)
        return tree


def _without_effect(tree: nodes.Template) -> list[int]:
    """Lines of what Jinja ignores in silence: text beside the blocks of a template that extends another."""
    extending = next((index for index, node in enumerate(tree.body) if isinstance(node, nodes.Extends)), len(tree.body))
    written = [part for node in tree.body[extending:] for part in _written(node)]
    return [
        part.lineno + _empty_lines(part.data) if isinstance(part, nodes.TemplateData) else part.lineno
        for part in written
        if not isinstance(part, nodes.TemplateData) or part.data.strip()
    ]


def _written(node: nodes.Node) -> Iterator[nodes.Node]:
    """What a part of a template writes itself: not what it gives a name to."""
    if isinstance(node, nodes.Output):
        yield from node.nodes
    elif isinstance(node, nodes.Include):
        yield node
    elif not isinstance(node, nodes.Block | nodes.Macro | nodes.AssignBlock):
        for part in node.iter_child_nodes():
            yield from _written(part)


def _empty_lines(text: str) -> int:
    return text[: len(text) - len(text.lstrip())].count("\n")


class JobTemplates:
    """The job templates of a node: the administrator's before the shipped ones."""

    def __init__(self, shipped: Path, overrides: Path | None) -> None:
        """Look for templates in `overrides`, then in `shipped`; a name with `shipped/` before it always means ours."""
        self._sources = Sources(shipped, overrides)
        own = jinja2.FileSystemLoader(shipped)
        self._shipped = own
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

    def has(self, name: str) -> bool:
        """Whether there is a template of this name."""
        return name in self._environment.list_templates()

    def names(self) -> list[str]:
        """The names of the shipped templates."""
        return self._shipped.list_templates()

    def refuse_ignored(self, names: Iterable[str]) -> None:
        """Look whether all that the administrator wrote has an effect on templates of these names.

        Raises:
            TemplateError: a template is not reached from these, has a block that nobody has a place for, or can't be
                read; a wrong name would otherwise be ignored in silence.
        """
        entries = sorted(names)
        found, left = set[str](), list(entries)
        while left:
            if (name := left.pop()) in found:
                continue
            found.add(name)
            self._refuse_unknown_blocks(name)
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

    def chain(self, name: str) -> list[str]:
        """A template and those that it extends, as people call them; as far as their names are certain."""
        tree = self._tree(name)
        if tree is None:
            return []
        parents = [node.template for node in tree[1].find_all(nodes.Extends)]
        further = self.chain(parents[0].value) if parents and isinstance(parents[0], nodes.Const) else []
        return [self._sources.name(tree[0]), *further]

    def _referred(self, name: str) -> list[str | None]:
        tree = self._tree(name)
        return [] if tree is None else list(meta.find_referenced_templates(tree[1]))

    def _tree(self, name: str) -> tuple[str, nodes.Template] | None:
        """The file of a template and what it says; None if there is none, which whoever renders it is told."""
        try:
            source, file, _ = self._environment.loader.get_source(self._environment, name)  # type: ignore[union-attr]
            return file or "", self._environment.parse(source, name, file)
        except jinja2.TemplateNotFound:
            return None
        except jinja2.TemplateSyntaxError as error:
            explain(name, error, self._sources)

    def _refuse_unknown_blocks(self, name: str) -> None:
        """Jinja ignores a block that no template above has a place for."""
        tree = self._tree(name)
        if tree is None or not self._sources.is_mine(tree[0]):
            return
        above = self._blocks_above(tree[1], {name})
        if above is None:
            return
        for block in tree[1].body:
            if isinstance(block, nodes.Block) and block.name not in above:
                sentence = f"no block is called {block.name!r} in what this extends, so it has no effect"
                message = f"{sentence}; there are {', '.join(sorted(above))}"
                explain(name, jinja2.TemplateSyntaxError(message, block.lineno, name, tree[0]), self._sources)

    def _blocks_above(self, tree: nodes.Template, seen: set[str]) -> set[str] | None:
        """The blocks of the templates that a template extends; None if they are not certain, or there are none."""
        parents = [node.template for node in tree.find_all(nodes.Extends)]
        if len(parents) != 1 or not isinstance(parents[0], nodes.Const) or parents[0].value in seen:
            return None
        parent = self._tree(parents[0].value)
        if parent is None:
            return None
        own = {block.name for block in parent[1].find_all(nodes.Block)}
        if parent[1].find(nodes.Extends) is None:
            return own
        above = self._blocks_above(parent[1], seen | {parents[0].value})
        return None if above is None else own | above

    def render(self, name: str, context: Context) -> dict[str, Any]:
        """The manifest that template `name` makes of `context`; raises like `rendering`."""
        return self.rendering(name, context).manifest

    def rendering(self, name: str, context: Context) -> Rendering:
        """The manifest that template `name` makes of `context`, and where its parts were written.

        Raises:
            TemplateError: the template is missing, wrong, or does not render to one YAML mapping.
        """
        placeholders = Placeholders()
        token = _rendering.set(placeholders)
        try:
            template = self._environment.get_template(name)
            values = {field.name: getattr(context, field.name) for field in fields(context)}
            pieces = traced(template.root_render_func(template.new_context(values)))
        except Exception as error:  # templates are programs: anything may come out of them
            explain(name, error, self._sources)
        finally:
            _rendering.reset(token)
        rendered = Rendered(*pieces, placeholders, self._sources)
        try:
            tree = placeholders.tree(rendered.text)
        except ManifestError as error:
            explain_text(name, error, rendered)
        if not isinstance(tree, dict):
            raise TemplateError(f"{name}: the template renders to no mapping; it must be one batch/v1 Job.")
        return Rendering(tree, rendered)
