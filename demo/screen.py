"""What the demo shows: each stage with the time it took, the runs while they run, the result, what to try."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from demo.patients import COLUMN

TOLERANCE = 1e-9
COLOURS = {"pending": "yellow", "initializing": "yellow", "active": "cyan", "completed": "green"}

console = Console(highlight=False)


@dataclass(frozen=True)
class Stage:
    name: str
    seconds: float


class Programme:
    """The stages in their order, with the seconds each took."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Say what happens now, and when it is done how long it took."""
        console.print(f"[bold]▸ {name}[/]")
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        self.stages.append(Stage(name, seconds))
        console.print(f"  [green]done[/] in {seconds:.1f} s")

    def show(self) -> None:
        table = Table(title="How long it took", title_justify="left", show_edge=False, show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for stage in self.stages:
            table.add_row(stage.name, f"{stage.seconds:.1f} s")
        table.add_section()
        table.add_row("together", f"{sum(stage.seconds for stage in self.stages):.1f} s")
        console.print(table)


@contextmanager
def live_runs() -> Iterator["RunTable"]:
    """Show a table of runs that can be told the news, for as long as the block lasts."""
    table = RunTable()
    if not console.is_terminal:
        yield table
        console.print(table.render())
        return
    with Live(console=console, refresh_per_second=8) as live:
        table.live = live
        yield table
        live.update(table.render())


class RunTable:
    """The runs of the task and of what it started."""

    def __init__(self) -> None:
        self.live: Live | None = None
        self._rows: list[tuple[str, str, str]] = []
        self._began = time.monotonic()

    def tell(self, rows: list[tuple[str, str, str]]) -> None:
        """Show these runs: where, which function, status."""
        if rows != self._rows and self.live is None:
            news = "; ".join(f"{where}, {function.partition('_')[0]}: {status}" for where, function, status in rows)
            console.print(f"  {time.monotonic() - self._began:5.1f} s  {news}", soft_wrap=True)
        self._rows = rows
        if self.live:
            self.live.update(self.render())

    def render(self) -> Table:
        table = Table(show_edge=False, pad_edge=True)
        for heading in ("node", "function", "status"):
            table.add_column(heading)
        for where, function, status in self._rows:
            table.add_row(where, function, f"[{COLOURS.get(status, 'red')}]{status}[/]")
        return table


def compare(federated: dict[str, Any], direct: float, count: int) -> bool:
    """Show both averages side by side; returns whether they are the same within `TOLERANCE` (relative) and count."""
    difference = abs(federated["average"] - direct) / abs(direct)
    agree = bool(difference <= TOLERANCE and federated["count"] == count)
    table = Table(title=f"Average of {COLUMN} (mmHg)", title_justify="left", show_edge=False)
    for heading in ("", "average", "patients", "computed"):
        table.add_column(heading)
    parts = f"by {federated['parts']} nodes that gave away a sum and a count each"
    table.add_row("federated", f"[bold]{federated['average']!r}[/]", str(federated["count"]), parts)
    table.add_row("direct", f"[bold]{direct!r}[/]", str(count), "from the files, side by side on this machine")
    console.print(table)
    verdict = "[bold green]They agree[/]" if agree else "[bold red]They differ[/]"
    console.print(f"{verdict}: relative difference {difference:.1e} (at most {TOLERANCE:.0e} is fine).\n")
    return agree


def invite(lines: list[tuple[str, str]]) -> None:
    """Show commands to try, each with what it does."""
    console.rule("It is all still running. Look around", align="left")
    for what, command in lines:
        console.print(f"[dim]# {what}[/]")
        console.print(command, soft_wrap=True, markup=False)  # whole, to be copied
