"""How a node's state looks on a terminal."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

GOOD, BAD, DULL = "green", "red", "dim"


def node(state: dict[str, Any], now: float | None = None) -> RenderableType:
    """The whole state of one node."""
    now = time.time() if now is None else now
    if state["release"] is None and "the launcher" not in state["unread"]:
        return Text(f"There is no node in namespace {state['namespace']}.", BAD)
    parts: list[RenderableType] = [_facts(state, now)]
    if state["databases"]:
        parts.append(_databases(state["databases"]))
    parts.append(_runs(state["runs"], now) if state["runs"] else Text("No runs.", DULL))
    parts += [Text(f"{what} can't be read: {why}", DULL) for what, why in state["unread"].items()]
    return Group(*parts)


def _facts(state: dict[str, Any], now: float) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("node", f"{state['namespace']} (release {state['release']}, version {state['version']})")
    table.add_row("server", Text(state["server"] or "unknown"))
    since = f" for {_for(state['since'], now)}" if state["since"] and state["online"] else ""
    told = Text(f"online{since}", GOOD) if state["online"] else Text(f"offline: {state['phase']}", BAD)
    table.add_row("state", told)
    if state["reason"]:
        table.add_row("", Text(state["reason"]))
    table.add_row("isolation", _isolation(state["isolation"], now))
    return table


def _isolation(told: dict[str, Any], now: float) -> Text:
    if told["passed"] is None or not told["checked_at"]:
        return Text("can't be checked", BAD) if told["checked_at"] else Text("not known yet", DULL)
    when = f"checked {_for(told['checked_at'], now)} ago, {told['ways']} ways tried"
    text = Text(f"holds ({when})", GOOD) if told["passed"] else Text(f"does not hold ({when})", BAD)
    for what in ("accepted", "waived"):
        if told[what]:
            text.append(f"; {what}: {', '.join(told[what])}", "yellow")
    return text


def _databases(databases: Sequence[dict[str, Any]]) -> Table:
    table = Table("database", "type", "readable", box=None, header_style=DULL)
    words = {True: Text("yes", GOOD), None: Text("not tried", DULL)}
    for each in databases:
        table.add_row(each["label"], each["type"], words.get(each["readable"]) or Text(each["trouble"], BAD))
    return table


def _runs(runs: Sequence[dict[str, Any]], now: float) -> Table:
    table = Table("run", "task", "state", "for", "image", "why", box=None, header_style=DULL)
    for each in runs:
        style = BAD if each["outcome"] not in {None, "completed"} else ""
        what = each["outcome"] or each["state"]
        since = _for(each["since"], now) if each["since"] else ""
        numbers = (str(each["run"]), str(each["task"]))
        table.add_row(*numbers, Text(what, style), since, Text(each["image"]), Text(each["reason"]))
    return table


def nodes(states: Sequence[dict[str, Any]], now: float | None = None) -> RenderableType:
    """A line for each node."""
    now = time.time() if now is None else now
    if not states:
        return Text("No nodes.", DULL)
    table = Table("namespace", "state", "isolation", "runs", "version", "server", box=None, header_style=DULL)
    for each in states:
        passed = each["isolation"]["passed"]
        table.add_row(
            each["namespace"],
            Text("online", GOOD) if each["online"] else Text("offline", BAD),
            {True: Text("holds", GOOD), False: Text("does not hold", BAD)}.get(passed, Text("unknown", DULL)),
            str(len(each["runs"])),
            each["version"] or "",
            Text(each["server"] or ""),
        )
    return table


def _for(since: str | float, now: float) -> str:
    """How long ago a moment was, in one unit."""
    if isinstance(since, str):
        since = datetime.fromisoformat(since).astimezone(UTC).timestamp()
    seconds = max(0, round(now - since))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
