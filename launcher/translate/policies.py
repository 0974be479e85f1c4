"""Policies: what can't be carried over never lets more run than it did."""

import re
from collections.abc import Iterable
from typing import Any, TypeGuard

from pydantic import ValidationError

from launcher.policies import Policies
from launcher.translate.findings import Place, Work, text_of

PLACE: Place = ("node", "policies")
NOTHING = "FILL-IN"
"""An entry that no image and no store matches: capitals are in no image's name."""
NOBODY = 0
"""The number of no user and no organization."""
_IMAGES = ("allowed_algorithms", "allowed_algorithm_stores")
_SENDERS = ("allowed_users", "allowed_organizations")
_CAREFUL = {"allow_either_whitelist_or_store": False, "allow_basics_algorithm": False, "require_algorithm_pull": True}


def policies(source: object, work: Work) -> dict[str, Any]:
    """The chart's policies."""
    if source is not None and not isinstance(source, dict):
        work.fill_in("policies", "it is no section; nothing may run until you list what may", PLACE)
        return {"allowed_algorithms": [NOTHING]}
    made: dict[str, Any] = {}
    for name, value in work.section(source, "policies", Policies.model_fields, PLACE).items():
        if name in _CAREFUL:
            made[name] = work.flag(value, f"policies.{name}", (*PLACE, name), careful=_CAREFUL[name])
        elif value in (None, "", []):
            work.left_out(f"policies.{name}", "it is empty, which restricts nothing")
        else:
            made[name] = (_images if name in _IMAGES else _senders)(name, value, work)
    return made


def _images(name: str, value: object, work: Work) -> list[str]:
    """Images or stores. An entry that can't be used stays, and keeps the launcher from starting until it is right."""
    given = value if isinstance(value, list) else [value]
    entries = [entry if isinstance(entry, str) and entry else NOTHING for entry in given]
    for index, entry in enumerate(entries):
        fault = "it is no text; nothing may run until you correct it" if entry == NOTHING else _fault(name, entry)
        if fault:
            work.fill_in(_key(name, index, value), fault, (*PLACE, name), entry)
    return entries


def _fault(name: str, entry: str) -> str:
    """Why the launcher refuses an entry; empty if it does not."""
    try:
        Policies.model_validate({name: [entry]})
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Value error, ")
    return ""


def _senders(name: str, value: object, work: Work) -> list[int | str]:
    """Users or organizations. Where none of them can be used, nobody may send tasks."""
    given: list[Any] = value if isinstance(value, list) else [value]
    entries: list[int | str] = [entry for entry in given if _is_sender(name, entry)]
    for index in _positions(given, name):
        what = "a user is given by number" if name == "allowed_users" else "an organization is given by number or name"
        work.fill_in(_key(name, index, value), f"{what}; add what was meant", (*PLACE, name), given[index])
    return entries or [NOBODY]


def _key(name: str, index: int, value: object) -> str:
    return f"policies.{name}[{index}]" if isinstance(value, list) else f"policies.{name}"


def _positions(given: list[Any], name: str) -> Iterable[int]:
    return (index for index, entry in enumerate(given) if not _is_sender(name, entry))


def _is_sender(name: str, entry: object) -> TypeGuard[int | str]:
    if isinstance(entry, bool) or not isinstance(entry, (int, str)):
        return False
    if isinstance(entry, int):
        return entry >= 0
    return bool(re.fullmatch(r"[0-9]+", entry, re.ASCII)) if name == "allowed_users" else bool(text_of(entry))
