"""What a node was seen to ask of and tell the vantage6 server, and the same for another run: pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

TELL, ASK = "TELL", "ASK"
"""The methods of events over socket.io: one that wants no answer, and one that waits for the server's."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call and its answer, or an event that the node sent over socket.io.

    Attributes:
        at: when the request came, in seconds since 1970.
        seconds: how long the server took; 0 for an event.
        path: of an event its name.
        body: the request's JSON, or the event's payload.
        status: of the answer; 0 for an event.
    """

    at: float
    seconds: float
    method: str
    path: str
    query: str
    body: Any
    status: int

    @property
    def answered(self) -> float:
        """When the server had answered."""
        return self.at + self.seconds

    @property
    def run_id(self) -> int | None:
        """The run that it is about, where its path says so."""
        before, _, number = self.path.rpartition("/")
        return int(number) if before.endswith("/run") and number.isdecimal() else None

    @property
    def task_id(self) -> int | None:
        """The task that it is about, where its query or its body says so."""
        body = self.body if isinstance(self.body, dict) else {}
        number = str(dict(parse_qsl(self.query)).get("task_id") or body.get("task_id") or "")
        return int(number) if number.isdecimal() else None

    @property
    def reports(self) -> bool:
        """Whether a run's end was told by it, and heard: a killed run the server has closed itself, and answers 400."""
        ends = isinstance(self.body, dict) and bool(self.body.get("finished_at"))
        return self.method == "PATCH" and self.run_id is not None and ends and self.status in {200, 400}

    @property
    def delivers(self) -> bool:
        """Whether the server has a run's result by it."""
        return self.reports and self.status == 200


@dataclass(frozen=True, slots=True)
class Ids:
    """What is different in the calls about another run."""

    run: int
    task: int
    node: int
    organization: int
    collaboration: int


def readdressed(call: Call, old: Ids, new: Ids) -> Call:
    """The same call, about another run of another task of another node."""
    query = [(key, _changed(key, value, old, new)) for key, value in parse_qsl(call.query)]
    body = call.body
    if isinstance(body, Mapping):
        body = {key: int(_changed(key, str(value), old, new)) if key in _IDS else value for key, value in body.items()}
    path = call.path
    if path.endswith(f"/run/{old.run}"):
        path = f"{path.removesuffix(str(old.run))}{new.run}"
    return replace(call, path=path, query=urlencode(query), body=body)


_IDS = {f"{each.name}_id": each.name for each in fields(Ids)}


def _changed(key: str, value: str, old: Ids, new: Ids) -> str:
    which = _IDS.get(key)
    return str(getattr(new, which)) if which and value == str(getattr(old, which)) else value
