"""Values and Secret manifests as YAML for people: in the order of values.example.yaml, with comments where needed."""

import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from launcher.translate.findings import Done, Finding, Place, one_line

WIDTH = 120
_EXPLAINED: dict[Place, str] = {
    ("node", "databases"): (
        "What algorithms may read, always read-only. They run as user 65532, which has to be able to read the files; "
        "where a group may, its number belongs into jobs.securityContext.supplementalGroups."
    ),
    ("node", "whitelist"): "Hosts beyond the cluster that every algorithm may reach, through an egress proxy.",
    ("node", "policies"): "Who may run what here.",
    ("existingSecret",): "The Secret with the key that the server showed.",
}
_PLAIN = re.compile(r"(?:[A-Za-z/^]|\.(?=[A-Za-z]))[-A-Za-z0-9_/.@+^$]*(:[-A-Za-z0-9_/.@+]+)*", re.ASCII)
_NOT_A_TEXT = re.compile(r"y|n|yes|no|on|off|true|false|null|\.inf|\.nan|~", re.IGNORECASE)


def values_text(values: Mapping[str, Any], findings: Iterable[Finding], head: str) -> str:
    """The values as a file: a comment marks each place that is to be filled in.

    Args:
        values: the chart's.
        findings: those of the translation.
        head: comment at the beginning, a paragraph or command a line.
    """
    notes: dict[Place, list[str]] = {}
    for finding in findings:
        if finding.done is Done.FILL_IN:
            place, name = _existing(values, finding.place)
            notes.setdefault(place, []).append(_note(finding, name))
    for place, text in _EXPLAINED.items():
        notes.setdefault(place, []).insert(0, text)
    top = [line for paragraph in head.splitlines() for line in _comment(paragraph, 0)]
    return "\n".join([*top, *_after(notes, (), 0), *_mapping(values, (), 0, notes)]) + "\n"


def secrets_text(secrets: Mapping[str, Mapping[str, Any]], head: str) -> str:
    """Secret manifests as a file for `kubectl apply -f`."""
    documents = ["\n".join(_mapping(secret, (), 0, {})) for secret in secrets.values()]
    top = "\n".join(line for paragraph in head.splitlines() for line in _comment(paragraph, 0))
    return f"{top}\n" + "\n---\n".join(documents) + "\n"


def _note(finding: Finding, name: str) -> str:
    value = f" {finding.value}" if finding.value else ""
    what = f" {name}" if name else ""
    return f"Fill in{what}: {', '.join(finding.keys)}{value}: {finding.sentence}."


def _existing(values: Mapping[str, Any], place: Place) -> tuple[Place, str]:
    """The part of a place that there is, and the name of what is missing below it."""
    here: Any = values
    for depth, step in enumerate(place):
        there = step in here if isinstance(here, Mapping) else isinstance(here, list) and step in range(len(here))
        if not there:
            return place[:depth], str(place[-1])
        here = here[step]
    return place, ""


def _comment(text: str, indent: int) -> list[str]:
    lead = f"{' ' * indent}# "
    # What is indented is a command, which has to stay one line.
    if text.startswith("  "):
        return [f"{lead}{text}"]
    wrapped = textwrap.wrap(one_line(text), WIDTH - len(lead), break_long_words=False, break_on_hyphens=False)
    return [f"{lead}{line}" for line in wrapped] or [lead.rstrip()]


def _after(notes: Mapping[Place, list[str]], place: Place, indent: int) -> list[str]:
    return [line for note in notes.get(place, ()) for line in _comment(note, indent)]


def _mapping(found: Mapping[str, Any], place: Place, indent: int, notes: Mapping[Place, list[str]]) -> list[str]:
    lines = []
    for key, value in found.items():
        below = (*place, key)
        lines += _after(notes, below, indent)
        name = f"{' ' * indent}{scalar(key)}:"
        if isinstance(value, Mapping) and value:
            lines += [name, *_mapping(value, below, indent + 2, notes)]
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            lines.append(name)
            for index, item in enumerate(value):
                lines += _item(item, (*below, index), indent + 2, notes)
        elif isinstance(value, list):
            lines += _texts(name, value, indent)
        else:
            lines.append(f"{name} {'{}' if isinstance(value, Mapping) else scalar(value)}")
    return lines


def _item(item: Mapping[str, Any], place: Place, indent: int, notes: Mapping[Place, list[str]]) -> list[str]:
    lines = _mapping(item, place, indent + 2, notes)
    first = next(number for number, line in enumerate(lines) if not line.lstrip().startswith("#"))
    lines[first] = f"{' ' * indent}- {lines[first].lstrip()}"
    above = [line[2:] for line in lines[:first]]
    return [*_after(notes, place, indent), *above, *lines[first:]]


def _texts(name: str, values: list[Any], indent: int) -> list[str]:
    flow = f"{name} [{', '.join(scalar(value) for value in values)}]"
    if len(flow) <= WIDTH:
        return [flow]
    return [name, *(f"{' ' * (indent + 2)}- {scalar(value)}" for value in values)]


def scalar(value: object) -> str:
    """A scalar in YAML that PyYAML and the readers of helm and kubectl understand alike.

    They differ in what a word such as `y`, `1e3` or `0o7` is, so that every text that is not plainly one is quoted.
    """
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and not _NOT_A_TEXT.fullmatch(value):
            return value
        return str(yaml.safe_dump(value, default_style='"', width=2**31)).rstrip("\n")
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
