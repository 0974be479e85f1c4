"""What the commands have in common: options, how they are carried out, and where they print."""

import asyncio
import re
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from launcher.admin import Failure
from launcher.admin.cluster import sentence
from launcher.kubeapi import ApiRefusal, ClusterUnavailable

FAILED, INTERRUPTED = 1, 130
"""Exit codes."""


def _a_name(text: str) -> str:
    """Refuses what can be no namespace (RFC 1123 label)."""
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", text, re.ASCII):
        raise typer.BadParameter(f"{text!r} is no name of a namespace; use small letters, digits and dashes")
    return text


Namespace = Annotated[
    str,
    typer.Option("--namespace", "-n", envvar="V6_NODE_NAMESPACE", callback=_a_name, help="The node's namespace."),
]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig, if not its current one.")]
Kubeconfig = Annotated[Path | None, typer.Option(help="If not what KUBECONFIG names, or ~/.kube/config.")]
Chart = Annotated[Path | None, typer.Option(help="Folder of the chart, if not the one that came with this program.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
DEFAULT = "v6-node"

OUT = Console(highlight=False, emoji=False)
ERR = Console(stderr=True, highlight=False, emoji=False)


def carry_out(work: Coroutine[Any, Any, int | None]) -> int:
    """Do a command's work to its end, also when it is interrupted; returns its exit code."""
    try:
        return asyncio.run(_interruptible(work)) or 0
    except Failure as failure:
        tell(str(failure))
    except (ApiRefusal, ClusterUnavailable) as error:
        tell(sentence(error))
    except (asyncio.CancelledError, KeyboardInterrupt):
        tell("Interrupted.")
        return INTERRUPTED
    return FAILED


async def _interruptible(work: Coroutine[Any, Any, int | None]) -> int | None:
    """With Ctrl-C and SIGTERM alike the work is cancelled, and may clean up."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    return await task


def tell(line: str) -> None:
    """Print a line on standard error."""
    ERR.print(line, markup=False, soft_wrap=True)


def say(line: str) -> None:
    """Print a line on standard output."""
    OUT.print(line, markup=False, soft_wrap=True)


def progress(update: Callable[[str], None]) -> Callable[[str], None]:
    """Show what is being done: on a terminal as it changes, elsewhere a line for each change."""
    last = ""

    def show(phase: str) -> None:
        nonlocal last
        if ERR.is_terminal:
            update(phase)
        elif phase != last:
            tell(f"… {phase}")
        last = phase

    return show
