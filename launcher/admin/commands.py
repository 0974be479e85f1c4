"""The commands for whoever looks after a node: their options, and what they print."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live

from launcher.admin import Failure, keys, looking, runlog, screen
from launcher.admin import down as removal
from launcher.admin import nodes as overview
from launcher.admin.cluster import Where, connected, sentence
from launcher.admin.nodestate import state
from launcher.admin.terminal import (
    DEFAULT,
    ERR,
    FAILED,
    OUT,
    AsJson,
    Chart,
    Context,
    Kubeconfig,
    Namespace,
    carry_out,
    progress,
    say,
    tell,
)
from launcher.admin.up import Up
from launcher.kubeapi import ClusterUnavailable, KubeApi
from launcher.translate.credentials import ORGANIZATION_SECRET

app = typer.Typer()


@app.command()
def up(
    file: Annotated[Path, typer.Argument(help="A vantage6 4.x node configuration file.")],
    values: Annotated[
        list[Path] | None,
        typer.Option("--values", "-f", help="File with further values of the chart; may be repeated."),
    ] = None,
    namespace: Namespace = DEFAULT,
    *,
    node_name: Annotated[
        str | None, typer.Option(help="The cluster's machine that has the files of databases.")
    ] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the node to come online.")] = 300,
    chart: Chart = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Bring a vantage6 node online: translate, install or change, and wait until the server sees it."""
    where = Where(namespace, context, kubeconfig)

    async def work() -> None:
        with ERR.status("looking at the cluster") as spinner:
            bring = Up(where, say, progress(spinner.update))
            await bring.run(file, values or (), chart_at=chart, node_name=node_name, seconds=wait)
        say(f"The node of namespace {namespace} is online.")
        say(f"  v6-node status -n {namespace} --watch    how it and its runs fare")
        say(f"  v6-node logs -n {namespace} <run>         what an algorithm prints")
        say(f"  v6-node down -n {namespace}               remove it")

    raise typer.Exit(carry_out(work()))


@app.command()
def down(
    namespace: Namespace = DEFAULT,
    *,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Delete the task volume too, with what runs left there.")
    ] = False,
    chart: Chart = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Remove a node; its task volume, Secrets and namespace stay, and it is said."""
    where = Where(namespace, context, kubeconfig)
    raise typer.Exit(carry_out(removal.down(where, say, delete_data=delete_data, chart_at=chart)))


@app.command()
def status(
    namespace: Namespace = DEFAULT,
    *,
    as_json: AsJson = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it anew every other second, until Ctrl-C.")
    ] = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show how a node, its isolation, databases and runs fare; exit with 1 unless it is online."""
    where = Where(namespace, context, kubeconfig)

    async def once(api: KubeApi) -> dict[str, Any]:
        return state(namespace, await looking.look(api, where))

    async def work() -> int:
        async with connected(where) as api:
            now = await once(api)
            if as_json and not watch:
                print(json.dumps(now, indent=2))
            elif watch:
                # Ctrl-C is how one stops to look.
                with contextlib.suppress(asyncio.CancelledError):
                    await (_each_line if as_json else _live)(api, once, now)
            else:
                OUT.print(screen.node(now))
            return 0 if now["online"] else FAILED

    raise typer.Exit(carry_out(work()))


Once = Callable[[KubeApi], Coroutine[Any, Any, dict[str, Any]]]
_EVERY = 2.0


async def _live(api: KubeApi, once: Once, now: dict[str, Any]) -> None:
    with Live(screen.node(now), console=OUT, auto_refresh=False) as live:
        while True:
            await asyncio.sleep(_EVERY)
            try:
                live.update(screen.node(await once(api)), refresh=True)
            except ClusterUnavailable as error:  # it may come back
                live.update(sentence(error), refresh=True)


async def _each_line(api: KubeApi, once: Once, now: dict[str, Any]) -> None:
    while True:
        print(json.dumps(now), flush=True)
        await asyncio.sleep(_EVERY)
        now = await once(api)


@app.command(name="list")
def list_nodes(
    namespace: Namespace = DEFAULT, *, as_json: AsJson = False, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """List the nodes of the cluster that you may see."""
    where = Where(namespace, context, kubeconfig)

    async def work() -> None:
        async with connected(where) as api:
            states, remark = await overview.nodes(api, where)
        if as_json:
            print(json.dumps(states, indent=2))
        else:
            OUT.print(screen.nodes(states))
        if remark:
            tell(remark)

    raise typer.Exit(carry_out(work()))


@app.command()
def logs(
    run: Annotated[int, typer.Argument(help="Number of the run at the server.")],
    namespace: Namespace = DEFAULT,
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for what is still printed.")] = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Print the log of a run's algorithm, while it runs or from what the node kept; records may be in it."""
    where = Where(namespace, context, kubeconfig)

    async def work() -> None:
        async with connected(where) as api:
            harmless = runlog.Harmless() if sys.stdout.isatty() else None
            async for piece in runlog.log_of(api, where, run, follow=follow):
                sys.stdout.buffer.write(harmless.text(piece).encode() if harmless else piece)
                sys.stdout.buffer.flush()

    raise typer.Exit(carry_out(work()))


@app.command()
def create_private_key(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write it into.")] = None,
    secret: Annotated[
        str | None, typer.Option(help=f"Name of a Secret to put it into, such as {ORGANIZATION_SECRET}.")
    ] = None,
    namespace: Namespace = DEFAULT,
    *,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Make an organization's private key, into a file (private_key.pem if nothing is said), a Secret, or both."""
    where = Where(namespace, context, kubeconfig)
    file = output or (None if secret else Path(keys.PRIVATE_KEY))

    async def work() -> None:
        key = keys.new_private_key()
        if file:
            keys.write_private_key(file, key)
            say(f"The private key is in {file}.")
        if secret:
            async with connected(where) as api:
                await keys.put_private_key(api, where, secret, key)
            say(f"The private key is in Secret {secret}; name it in node.encryption.existingSecret.")
        say("Keep a copy where it is safe: what was encrypted for it can be read with no other key.")
        say("Researchers and other nodes of the organization need this one too; the node registers its public key.")

    raise typer.Exit(carry_out(work()))


@app.command()
def set_api_key(
    file: Annotated[
        Path | None, typer.Option("--file", help="File with the key, instead of a question or standard input.")
    ] = None,
    namespace: Namespace = DEFAULT,
    *,
    wait: Annotated[bool, typer.Option(help="Wait until the launcher logged in with it.")] = True,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Replace the node's API key; the launcher logs in with it without being restarted."""
    where = Where(namespace, context, kubeconfig)

    async def work() -> None:
        key = keys.usable_key(_read_key(file))
        async with connected(where) as api:
            change = keys.ApiKeyChange(api, where)
            if not await change.write(key):
                say(f"Secret {change.secret} has that key already.")
                return
            say(f"The API key is in Secret {change.secret} of namespace {namespace}.")
            if change.set_back:
                tell("The next `helm upgrade` sets it back to node.api_key of the values: change it there too.")
            if change.runs and wait:
                with ERR.status("waiting for the launcher to log in with it"):
                    await change.used()
                say("The launcher logged in with it.")

    raise typer.Exit(carry_out(work()))


def _read_key(file: Path | None) -> str:
    """The key from a file, a pipe, or a person; never from the command line, which others can see."""
    if file is None:
        return str(typer.prompt("API key", hide_input=True)) if sys.stdin.isatty() else sys.stdin.read()
    try:
        return file.read_text()
    except (OSError, UnicodeError) as error:
        raise Failure(f"{file} can't be read ({error}); give a file with the key alone.") from error
