"""A file with values of the chart, as every command reads it: what helm would drop in silence is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from launcher.admin import Failure
from launcher.translate.source import problem


def read_values(file: Path) -> dict[str, Any]:
    """The values of a file; none if it is empty.

    Raises:
        Failure: it can't be read, has no keys, or has a key twice, of which helm takes the last and says nothing.
    """
    remedy = "give a file with values of the chart"
    try:
        text = file.read_text()
        values = yaml.safe_load(text)
    except OSError as error:
        raise Failure(f"{file} can't be read ({error.strerror}); {remedy}.") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}," if error.problem_mark else ""
        raise Failure(f"{file}{line} is not YAML ({problem(error)}); {remedy}.") from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise Failure(f"{file} is not YAML (it is no text); {remedy}.") from error
    if values is not None and not isinstance(values, dict):
        raise Failure(f"{file} has no keys; {remedy}.")
    for key, first, again in repeated(text):
        raise Failure(
            f"{file} has {key} twice, in lines {first} and {again}, and helm drops the first with all that is in it; "
            "make one of them, or keep one in a values file of its own."
        )
    return values or {}


def repeated(text: str) -> Iterator[tuple[str, int, int]]:
    """Each key that its mapping has again: its path, and the lines of both, counted from 1.

    Args:
        text: YAML.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None:
        yield from _in(root, "")


def _in(node: yaml.Node, path: str) -> Iterator[tuple[str, int, int]]:
    if isinstance(node, yaml.SequenceNode):
        for index, each in enumerate(node.value):
            yield from _in(each, f"{path}[{index}]")
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[str, int] = {}
    for key, below in node.value:
        where = f"{path}.{key.value}" if path else str(key.value)
        line = key.start_mark.line + 1
        if key.value in first:
            yield where, first[key.value], line
        first.setdefault(key.value, line)
        yield from _in(below, where)
