"""`python -m benchmarks [NAME…] [--quick] [--publish]`; `make bench` is all of it."""

import asyncio
import os
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import install, instant, killing, life, makespan, neighbours, openruns, page, proxied
from benchmarks.found import FULL, QUICK, Effort, Found
from benchmarks.goals import HEADER, rows
from benchmarks.record import Record
from benchmarks.scene import Scene, scene
from ci.cluster import ClusterError
from ci.images import BuildError
from ci.tools import ToolsError, cache_folder
from tests.cluster import versions
from tests.stage import StageError

console = Console()
_WIDTH = 200

ALONE: dict[str, Callable[[Effort], Awaitable[Found]]] = {"proxy": proxied.measure}
"""What needs no cluster."""
IN_CLUSTER: dict[str, Callable[[Scene, Effort], Awaitable[Found]]] = {
    "life": life.measure,
    "kill": killing.measure,
    "install": install.measure,
    "instant": instant.measure,
    "neighbours": neighbours.measure,
    "makespan": makespan.measure,
    "simulated": makespan.measure_simulated,
    "open-runs": openruns.measure,
}
NAMES = [*ALONE, *IN_CLUSTER]


def main(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME…", help=f"Of {', '.join(NAMES)}; default: all.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Few rounds: to see that it works.")] = False,
    publish: Annotated[bool, typer.Option(help="Write table and pictures into docs/ and README.md too.")] = False,
    results: Annotated[Path | None, typer.Option(help="Folder for the results; default: in the cache.")] = None,
    again: Annotated[
        Path | None,
        typer.Option("--from", help="Begin with these results, a JSON file; without a NAME, nothing is measured."),
    ] = None,
) -> None:
    """Measure what docs/benchmarks.md describes, and print the table; everything that was measured is kept."""
    if unknown := sorted(set(names or ()) - set(NAMES)):
        console.print(f"There is no benchmark {', '.join(unknown)}; choose among {', '.join(NAMES)}.")
        raise typer.Exit(2)
    if again is not None and not again.is_file():
        console.print(f"There is no file {again}; name one that an earlier run wrote.")
        raise typer.Exit(2)
    record, folder = begun(again, results, quick)
    if names or again is None:
        try:
            asyncio.run(measure(record, names or NAMES, QUICK if quick else FULL))
        except asyncio.CancelledError:
            console.print(f"Stopped. What was measured until then is in {folder}.", soft_wrap=True)
            raise typer.Exit(130) from None
    files = page.write(record, folder)
    show(record)
    if publish:
        page.publish(record, folder)
        console.print(f"Published in {page.PAGE} and {page.README}.")
    console.print(f"Kept in {folder}: results.json, {', '.join(file.name for file in files)}.", soft_wrap=True)
    if any("error" in entry for entry in record.told["benchmarks"].values()):
        sys.exit(1)


def begun(again: Path | None, results: Path | None, quick: bool) -> tuple[Record, Path]:
    """The record to add to, with what an earlier one has, and its folder."""
    folder = results or cache_folder() / "benchmarks" / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    folder.mkdir(parents=True, exist_ok=True)
    record = Record.begin(folder / "results.json", quick=quick)
    if again is not None:
        record.told |= Record.read(again).told
        record.told["quick"] |= quick
        record.write()
    return record, folder


async def measure(record: Record, names: list[str], effort: Effort) -> None:
    """Carry out the benchmarks, one after the other; one that breaks keeps no other from being carried out."""
    task = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell had it ignored: what was made is removed
        asyncio.get_running_loop().add_signal_handler(number, task.cancel if task else sys.exit)
    for name, alone in ALONE.items():
        if name in names:
            await one(record, name, partial(alone, effort))
    if chosen := {name: do for name, do in IN_CLUSTER.items() if name in names}:
        async with scene() as where:
            record.told["versions"] = [
                *versions.of_cluster(where.kubectl),
                *versions.of_programs(where.kubectl),
                *versions.of_vantage6(where.server),
            ]
            for name, do in chosen.items():
                await one(record, name, partial(do, where, effort))


async def one(record: Record, name: str, do: Callable[[], Awaitable[Found]]) -> None:
    """Carry out one benchmark."""
    began, load = time.time(), os.getloadavg()
    console.print(f"{name}: begins, load average {load[0]:.1f}")
    found: Found | str
    try:
        found = await do()
    except (StageError, OSError, ValueError, AssertionError, TimeoutError, ExceptionGroup) as error:
        traceback.print_exc()
        found = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    record.add(name, found, began, load)
    console.print(f"{name}: {'broke' if isinstance(found, str) else 'done'} after {time.time() - began:.0f} s")


def show(record: Record) -> None:
    """Print the table."""
    table = Table(*HEADER)
    for row in rows(record.measurements):
        table.add_row(*(cell.replace("**", "") for cell in row))
    wide = Console(width=None if console.is_terminal else _WIDTH)  # where nobody looks, lines may be long
    wide.print(table)


if __name__ == "__main__":
    try:
        typer.run(main)
    except (StageError, BuildError, ClusterError, ToolsError) as error:
        console.print(f"[red]{error}[/]")
        sys.exit(1)
