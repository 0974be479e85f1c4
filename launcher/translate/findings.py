"""What is said of a translation: a line for each key that is not simply carried over."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from launcher.translate.keys import unknown

Place = tuple[str | int, ...]
"""Keys and positions that lead to a value of the chart."""

LONGEST = 80


class Done(Enum):
    """What became of a key."""

    TAKEN = "taken in another form"
    LEFT_OUT = "left out"
    FILL_IN = "to be filled in"


def one_line(text: str) -> str:
    """A text as part of one line of a report or comment, whatever characters it has."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def shown(value: object) -> str:
    """A value that is no secret, for a person; name, password and parameters of an address are not shown."""
    if not isinstance(value, str):
        return "" if isinstance(value, (Mapping, list)) else one_line(str(value))[:LONGEST]
    text = re.sub(r"//[^/\s]*@", "//…@", re.split("[?;=]", value)[0])
    return f'"{one_line(text)[:LONGEST]}"'


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a key of the file, why, and what to do."""

    keys: tuple[str, ...]
    """As they are in the file: `databases[0].uri`."""
    done: Done
    sentence: str
    """The reason and the remedy, without a full stop."""
    value: str = ""
    """As it may be shown; empty for what may be secret."""
    place: Place = ()
    """For what is to be filled in: where in the values."""

    def line(self) -> str:
        """The finding as one line."""
        value = f" {self.value}" if self.value else ""
        return one_line(f"{', '.join(self.keys)}{value}: {self.done.value}; {self.sentence}.")


@dataclass(frozen=True, slots=True)
class Site:
    """What a translation has to know beside the file."""

    node_name: str | None = None
    """The machine of the cluster that has the files of databases."""
    namespace: str = "v6-node"
    secrets: bool = False
    """Whether secrets go into manifests of their own, instead of the values."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The contents of files that the configuration names, by path as it is written there."""


@dataclass(slots=True)
class Work:
    """A translation while it is made."""

    site: Site
    findings: list[Finding] = field(default_factory=list)
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Secret manifests by name."""
    inline: list[str] = field(default_factory=list)
    """Keys whose secrets are in the values."""

    def taken(self, key: str, sentence: str, value: object = "") -> None:
        """Note a key that has another form in the values."""
        self._add(key, Done.TAKEN, sentence, value)

    def left_out(self, key: str | tuple[str, ...], sentence: str, value: object = "") -> None:
        """Note a key that is in no value."""
        self._add(key, Done.LEFT_OUT, sentence, value)

    def fill_in(self, key: str, sentence: str, place: Place, value: object = "") -> None:
        """Note a place where a person has to decide or correct something before the values are of use."""
        self._add(key, Done.FILL_IN, sentence, value, place)

    def _add(self, key: str | tuple[str, ...], done: Done, sentence: str, value: object, place: Place = ()) -> None:
        text = "" if value == "" else shown(value)
        keys = (key,) if isinstance(key, str) else key
        self.findings.append(Finding(keys, done, sentence.rstrip("."), text, place))

    def secret(self, name: str, data: dict[str, str], kind: str = "Opaque") -> None:
        """Put secret texts into a manifest."""
        metadata = {"name": name, "namespace": self.site.namespace}
        self.secrets[name] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": kind,
            "stringData": data,
        }

    def section(self, value: object, key: str, known: Iterable[str], place: Place) -> dict[str, Any]:
        """The known keys of a section; others are noted, and so is what is no section."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.fill_in(key, "it is no section with keys of its own; write it as one", place)
            return {}
        names = list(known)
        for name in value:
            if name not in names:
                self.left_out(f"{key}.{name}", unknown(name, names))
        return {name: value[name] for name in names if name in value}

    def entries(self, value: object, key: str, place: Place) -> list[Any]:
        """The entries of a list; what is no list is noted."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.fill_in(key, "it is no list; write its entries each with a dash in front", place)
            return []
        return value

    def flag(self, value: object, key: str, place: Place, *, careful: bool) -> bool:
        """A yes or no; where it is neither, the careful one until a person decides."""
        if isinstance(value, bool):
            return value
        self.fill_in(key, f"it is neither true nor false; {str(careful).lower()} is taken until you decide", place)
        return careful


def text_of(value: object) -> str:
    """A value as the text that a variable has."""
    return "" if value is None else str(value)
