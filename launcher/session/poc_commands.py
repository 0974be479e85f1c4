"""The commands of the proof of concept: what they may contain, checked before anything is done with them.

Whoever reaches the server can send anything, so a command is refused, in one sentence, unless every part of it is what
docs/poc.md says.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from launcher.config.node import LABEL

MOST_BYTES = 2**20
_SHOWN = 60

RunId = Annotated[int, Field(ge=1, le=2**53 - 1)]
_Text = Annotated[str, Field(max_length=2**16, pattern=r"^[^\x00]*$")]


class Refused(Exception):  # noqa: N818
    """A command that is not carried out; the message is one sentence for whoever sent it."""


class Command(BaseModel):
    """What every command may have."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    command: str
    request: Annotated[str, Field(max_length=64, pattern="^[ -~]*$")] | None = None


class RunCommand(Command):
    """Execute an algorithm: the one command of the proof of concept, which has no `command` in it."""

    command: Literal["run"] = "run"
    run_id: RunId
    task_info: Annotated[dict[_Text, _Text], Field(max_length=64)] = {}
    image: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$", max_length=512)]
    docker_input: _Text | bytes | None = None
    tmp_vol_name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
    token: _Text = ""
    databases_to_use: Annotated[list[Annotated[str, Field(pattern=LABEL, max_length=40)]], Field(max_length=64)] = []

    @property
    def content(self) -> bytes:
        """The algorithm's input."""
        given = self.docker_input or b""
        return given.encode() if isinstance(given, str) else given


class ListCommand(Command):
    """Tell which runs there are."""

    command: Literal["list"]


class KillCommand(Command):
    """End a run."""

    command: Literal["kill"]
    run_id: RunId


class ResultCommand(Command):
    """Tell what became of a run."""

    command: Literal["result"]
    run_id: RunId


AnyCommand = RunCommand | ListCommand | KillCommand | ResultCommand
_COMMANDS: Mapping[str, type[AnyCommand]] = {
    "run": RunCommand,
    "list": ListCommand,
    "kill": KillCommand,
    "result": ResultCommand,
}
_REMEDIES = {
    "request": "give at most 64 ASCII characters, or leave it out",
    "run_id": "give a whole number from 1 to 9007199254740991 that no other run has",
    "task_info": "give at most 64 names with texts, which become the container's arguments",
    "image": "give an image's reference, such as ghcr.io/example/average:1",
    "docker_input": "give a text of at most 65536 characters without NUL, or bytes",
    "tmp_vol_name": "use lower-case letters, digits, dots and dashes, at most 253, with a letter or digit at both ends",
    "token": "give a text of at most 65536 characters without NUL",
    "databases_to_use": "list at most 64 labels: letters, digits and underscores, with a letter in front",
}
_CONFIDENTIAL = frozenset({"docker_input", "token"})


def parse(data: object) -> AnyCommand:
    """A command as it arrived, checked.

    Raises:
        Refused: it is none, or a part of it is not what it may be.
    """
    if not isinstance(data, dict):
        raise Refused(f"A command is an object with keys and values, not {_shown(data)}; send one.")
    if _size(data) > MOST_BYTES:
        raise Refused(f"The command is longer than {MOST_BYTES} bytes; put what is large into a database.")
    name = data.get("command", "run")
    model = _COMMANDS.get(name) if isinstance(name, str) else None
    if model is None:
        raise Refused(f"command {_shown(name)} is none; use {', '.join(_COMMANDS)}, or leave it out for run.")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise Refused(_sentence(error.errors(include_url=False)[0])) from None


def recognised(data: object) -> dict[str, Any]:
    """What the reply to a command repeats of it, so that its sender knows it again, even if it is refused."""
    if not isinstance(data, dict):
        return {"command": ""}
    name, number, request = data.get("command", "run"), data.get("run_id"), data.get("request")
    told: dict[str, Any] = {"command": name if isinstance(name, str) and name in _COMMANDS else ""}
    if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**53:
        told["run_id"] = number
    if isinstance(request, str) and len(request) <= 64 and request.isascii():
        told["request"] = request
    return told


def _size(data: dict[Any, Any]) -> int:
    try:
        return len(json.dumps(data, default=lambda part: "x" * len(part) if isinstance(part, bytes) else str(part)))
    except (TypeError, ValueError, RecursionError):
        raise Refused("The command is not plain JSON; send texts, numbers, lists and objects only.") from None


def _sentence(fault: Any) -> str:
    key, *below = fault["loc"]
    where = f"{key}.{below[0]}" if key == "task_info" and below else str(key)
    where = where if where.isprintable() and len(where) <= _SHOWN else _shown(where)
    if fault["type"] == "extra_forbidden":
        return f"The key {where} is unknown; leave it out."
    remedy = _REMEDIES[str(key)]
    if fault["type"] == "missing":
        return f"{where} is missing; {remedy}."
    value = "" if key in _CONFIDENTIAL else f" {_shown(fault['input'])}"
    return f"{where}{value} can't be used; {remedy}."


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
