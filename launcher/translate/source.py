"""The configuration file as it is read: YAML, flat, or in the form with environments that earlier releases had."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

LARGEST = 1 << 20
"""Bytes of a configuration file or key that are read."""
ENVIRONMENTS = ("dev", "test", "acc", "prod")
_NESTED = frozenset({"application", "environments", *ENVIRONMENTS})
_QUOTE = "a text with a colon, #, *, & or ! in it wants quotes, and lines are indented with blanks"


class Unreadable(Exception):  # noqa: N818
    """The file can't be translated at all; the message is one sentence, without anything of the file's contents."""


def read(path: Path) -> tuple[dict[Any, Any], str]:
    """The configuration of a file, and which part of the file it is: empty, or such as `environments.prod`.

    Raises:
        Unreadable: there is no such file, it is not YAML, or has no single configuration.
    """
    return configuration(_parsed(path), path.name)


def _parsed(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise Unreadable(
            f"{path} can't be read ({error.strerror}); give the path of a node's configuration file."
        ) from error
    if len(content) > LARGEST:
        raise Unreadable(f"{path} has more than {LARGEST} bytes; give the path of a node's configuration file.")
    try:
        tree = yaml.safe_load(content.decode())
        # Texts that no file can hold, and structures that contain themselves.
        json.dumps(tree, ensure_ascii=False, default=str, skipkeys=True).encode()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Unreadable(f"{path}, line {line}: it is not YAML ({problem(error)}); {_QUOTE}.") from None
    except UnicodeError:
        raise Unreadable(f"{path} is not text in UTF-8; save it as that.") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise Unreadable(f"{path} has characters, dates or structures that YAML does not allow; correct it.") from None
    return tree


def problem(error: yaml.MarkedYAMLError) -> str:
    """What the reader says, without what it quotes: that may be a password."""
    said = " ".join(str(error.problem or error.context or "it can't be understood").split())
    return re.sub(r"'(?!<)..+'", "…", said)


def configuration(tree: object, name: str) -> tuple[dict[Any, Any], str]:
    """The one configuration of a file's contents, and which part it is.

    vantage6 3 had one under `application`, and one for each of `environments`; 4.x has them at the top.

    Raises:
        Unreadable: there is none, or more than one.
    """
    if not isinstance(tree, dict) or not tree:
        raise Unreadable(f"{name} has no keys; give the path of a node's configuration file.")
    nested = _nested(tree)
    if nested is None:
        return tree, ""
    given = {part: section for part, section in nested.items() if section}
    if len(given) == 1:
        [(part, section)] = given.items()
        beside = {key: value for key, value in tree.items() if key not in _NESTED}
        return beside | section, part
    parts = ", ".join(given) or "none"
    raise Unreadable(
        f"{name} has the form of vantage6 3, with a configuration for each environment (filled: {parts}); keep one, "
        "with its keys at the top of the file."
    )


def _nested(tree: Mapping[Any, Any]) -> dict[str, dict[Any, Any]] | None:
    """The configurations of the earlier form by their names; None if it is not that form."""
    if {"api_key", "server_url"} & tree.keys() or not _NESTED & tree.keys():
        return None
    environments = tree.get("environments")
    inner = environments if isinstance(environments, dict) else {}
    parts = {"application": tree.get("application")}
    parts |= {f"environments.{name}": inner.get(name) for name in ENVIRONMENTS}
    parts |= {name: tree.get(name) for name in ENVIRONMENTS}
    return {part: section for part, section in parts.items() if isinstance(section, dict)}


def named_files(source: Mapping[Any, Any], folder: Path) -> dict[str, str]:
    """The contents of the private keys that a configuration names, by path as it is written there.

    A path is taken from `folder` on; what can't be read is not in the answer.
    """
    encryption, tunnels = source.get("encryption"), source.get("ssh-tunnels")
    named = [encryption.get("private_key")] if isinstance(encryption, Mapping) else []
    for tunnel in tunnels if isinstance(tunnels, list) else []:
        ssh = tunnel.get("ssh") if isinstance(tunnel, Mapping) else None
        identity = ssh.get("identity") if isinstance(ssh, Mapping) else None
        named += [identity.get("key")] if isinstance(identity, Mapping) else []
    found = {path: _content(folder, path) for path in named if isinstance(path, str) and path}
    return {path: text for path, text in found.items() if text is not None}


def _content(folder: Path, name: str) -> str | None:
    try:
        path = folder / Path(name).expanduser()
        # A pipe or device would never end.
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(LARGEST).decode()
    except (OSError, ValueError, RuntimeError):
        return None
