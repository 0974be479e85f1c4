"""`python -m demo up|down|poc|poc-down`."""

import sys
from typing import Annotated

import typer

from ci.cluster import ClusterError
from ci.images import BuildError
from ci.tools import ToolsError
from demo import play
from demo import poc as proof_of_concept
from demo.screen import console
from tests.stage import StageError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def up(seed: Annotated[int | None, typer.Option(help="Make the patients of an earlier run again.")] = None) -> None:
    """Start everything, compute the federated average, compare, and leave it all running."""
    if not play.up(seed):
        sys.exit(1)


@app.command()
def down() -> None:
    """Remove the nodes, the server and the patients; the cluster stays."""
    play.down()


@app.command()
def poc() -> None:
    """Go through the README of the proof of concept with this node, and leave it all running."""
    if not proof_of_concept.up():
        sys.exit(1)


@app.command()
def poc_down() -> None:
    """Remove what `poc` left running; the cluster stays."""
    proof_of_concept.down()


if __name__ == "__main__":
    try:
        app()
    except (StageError, BuildError, ClusterError, ToolsError, TimeoutError) as error:
        console.print(f"[red]{error}[/]")
        sys.exit(1)
