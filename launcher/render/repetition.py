"""Keys that a values file has twice: helm takes the last and says nothing, so the first is lost with all below it."""

from collections.abc import Iterator

import yaml


def repeated(text: str) -> Iterator[tuple[str, int, int]]:
    """Each key that its mapping has again: its path, and the lines of both, counted from 1.

    Args:
        text: YAML that helm could read.
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
