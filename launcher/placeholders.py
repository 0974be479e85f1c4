"""Values stay out of the YAML text: they travel as placeholders and come back when the text has been parsed.

A template's `{{ value }}` writes an unguessable word into the text and leaves the value here. `tree` parses the text
and puts the values back into the tree, where they can be nothing but values: no quote, newline or `: ` in a task's name
can reach the YAML parser. It refuses what would make a manifest mean something else than it looks like: a key given
twice, aliases, tags, a second document.
"""

import math
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from launcher.allowlist import below

_CParser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PREFIX = "tag:yaml.org,2002:"


class ManifestError(ValueError):
    """The rendered text is not the YAML of a manifest; `line` counts its lines from 1 (0: not known).

    `syntax`: YAML itself can't read it, and the line is where it gave up.
    """

    def __init__(self, message: str, line: int = 0, *, syntax: bool = False) -> None:
        super().__init__(message)
        self.line = line
        self.syntax = syntax


class _Loader(_CParser):  # type: ignore[misc, valid-type] # which of the two classes it is depends on PyYAML's build
    """Leaves every scalar as text: `_SCALARS` decides what plain ones are."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 # PyYAML's own protocol


# YAML's core schema. YAML 1.1's `no`, `1:30` and dates are text, as they look; `0440` is octal, as for kubectl.
_SCALARS: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"~|null|Null|NULL|"), lambda text: None),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text.lower() == "true"),
    (re.compile(r"[-+]?(0|[1-9][0-9]*)"), int),
    (re.compile(r"0o?[0-7]+"), lambda text: int(text.replace("o", ""), 8)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text, 16)),
    (re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?"), float),
)


class Placeholders:
    """The values of one rendering."""

    def __init__(self) -> None:
        self._nonce = "v6" + secrets.token_hex(16)
        self._word = re.compile(self._nonce + r"x(\d+)x")
        self._values: list[Any] = []

    def put(self, value: object) -> str:
        """Keep a value and return the word that stands for it.

        Raises:
            ManifestError: the value is not plain data, or was glued together from rendered text.
        """
        self._values.append(self._plain(value))
        return f"{self._nonce}x{len(self._values) - 1}x"

    def without_values(self, text: str) -> str:
        """Rendered text for use in an expression.

        Raises:
            ManifestError: values are in it.
        """
        if self._nonce in text:
            raise ManifestError(
                "passes text that was already rendered (of a block, macro or set) through a filter or an operator; "
                "apply it to the value itself instead"
            )
        return text

    def legible(self, text: str) -> str:
        """`text` for an error message, with `{{…}}` for every placeholder."""
        return self._word.sub("{{…}}", text)

    def tree(self, text: str) -> Any:
        """Parse one YAML document and put the values back.

        Raises:
            ManifestError: not YAML, more than one document, a repeated key, an alias, a tag.
        """
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            raise ManifestError(f"is not valid YAML ({self.legible(_words(error))})", line, syntax=True) from None
        except yaml.YAMLError as error:
            raise ManifestError(f"is not valid YAML ({_words(error)})", syntax=True) from None
        finally:
            loader.dispose()
        if node is None:
            raise ManifestError("renders to nothing")
        return self._build(node, set())

    def lines(self, text: str) -> dict[str, int]:
        """The line of each field and member of one YAML document, by its path as in `launcher.allowlist`."""
        loader = _Loader(text)
        try:
            return dict(self._lines(loader.get_single_node(), ""))
        finally:
            loader.dispose()

    def _lines(self, node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
        parts: list[tuple[str, yaml.Node, yaml.Node]] = []
        if isinstance(node, yaml.MappingNode):
            parts = [(below(path, self._fill(key.value, 0)), key, value) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            parts = [(f"{path}[{index}]", item, item) for index, item in enumerate(node.value)]
        for place, start, value in parts:
            yield place, start.start_mark.line + 1
            yield from self._lines(value, place)

    def _build(self, node: yaml.Node, seen: set[int]) -> Any:
        line = node.start_mark.line + 1
        if id(node) in seen:
            raise ManifestError("uses a YAML alias (*name), which is not allowed; write the value out", line)
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            _refuse_tag(node, "map", line)
            return self._mapping(node, seen)
        if isinstance(node, yaml.SequenceNode):
            _refuse_tag(node, "seq", line)
            return [self._build(item, seen) for item in node.value]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, line)

    def _mapping(self, node: yaml.MappingNode, seen: set[int]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ManifestError("has a list or mapping as a key; write the key as text", line)
            self._build(key_node, seen)  # its tag and alias checks
            key = self._fill(key_node.value, line)
            if key in result:
                raise ManifestError(f"gives the key {key!r} twice in one mapping; remove one of them", line)
            result[key] = self._build(value_node, seen)
        return result

    def _scalar(self, node: yaml.ScalarNode, line: int) -> Any:
        _refuse_tag(node, "str", line)
        text: str = node.value
        if not node.style:  # in quotes, everything is text; so is a quoted "{{ id }}"
            if whole := self._word.fullmatch(text):
                return self._values[int(whole[1])]
            for pattern, construct in _SCALARS:
                if pattern.fullmatch(text):
                    return construct(text)
        return self._fill(text, line)

    def _fill(self, text: str, line: int) -> str:
        return self._word.sub(lambda match: _as_text(self._values[int(match[1])], line), text)

    def _plain(self, value: object) -> Any:
        """A deep copy of the value as YAML's own types, so that nothing in it can change or act later."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return str.__str__(self.without_values(value))
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float) and math.isfinite(value):
            return float(value)
        if isinstance(value, list | tuple):
            return [self._plain(item) for item in value]
        if isinstance(value, Mapping):
            return {_as_text(self._plain(key), 0): self._plain(item) for key, item in value.items()}
        raise ManifestError(f"writes a {type(value).__name__}, which is no plain value; name one of its fields")


def _as_text(value: object, line: int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    kind = "an empty value (null)" if value is None else "a list or mapping"
    raise ManifestError(f"uses {kind} inside text or as a key; give it a scalar of its own, without quotes", line)


def _refuse_tag(node: yaml.Node, usual: str, line: int) -> None:
    if node.tag != _PREFIX + usual:
        raise ManifestError(f"uses the YAML tag {node.tag!r}, which is not allowed; remove it", line)


def _words(error: yaml.YAMLError) -> str:
    """PyYAML's complaint without its multi-line picture of the text."""
    if isinstance(error, yaml.MarkedYAMLError):
        return " ".join(part for part in (error.context, error.problem) if part)
    return str(error).splitlines()[0]
