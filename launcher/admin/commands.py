"""The commands for whoever looks after a node: their options, and what they print."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from launcher.admin import Failure, keys, looking, runlog, screen
from launcher.admin import down as removal
from launcher.admin import nodes as overview
from launcher.admin.cluster import Where, connected, sentence
from launcher.admin.nodestate import state
from launcher.admin.up import Up
from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi
from launcher.translate.credentials import ORGANIZATION_SECRET

FAILED, INTERRUPTED = 1, 130
"""Exit codes."""

app = typer.Typer()

Namespace = Annotated[str, typer.Option("--namespace", "-n", envvar="V6_NODE_NAMESPACE", help="The node's namespace.")]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig, if not its current one.")]
Kubeconfig = Annotated[Path | None, typer.Option(help="If not what KUBECONFIG names, or ~/.kube/config.")]
Chart = Annotated[Path | None, typer.Option(help="Folder of the chart, if not the one that came with this program.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
DEFAULT = "v6-node"

_out = Console(highlight=False, emoji=False)
_err = Console(stderr=True, highlight=False, emoji=False)


def carry_out(work: Coroutine[Any, Any, int | None]) -> int:
    """Do a command's work to its end, also when it is interrupted; returns its exit code."""
    try:
        return asyncio.run(_interruptible(work)) or 0
    except Failure as failure:
        _tell(str(failure))
    except (ApiRefusal, ClusterUnavailable) as error:
        _tell(sentence(error))
    except (asyncio.CancelledError, KeyboardInterrupt):
        _tell("Interrupted.")
        return INTERRUPTED
    return FAILED


async def _interruptible(work: Coroutine[Any, Any, int | None]) -> int | None:
    """With Ctrl-C and SIGTERM alike the work is cancelled, and may clean up."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    return await task


def _tell(line: str) -> None:
    _err.print(line, markup=False, soft_wrap=True)


def _say(line: str) -> None:
    _out.print(line, markup=False, soft_wrap=True)


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
        with _err.status("looking at the cluster") as spinner:
            bring = Up(where, _say, progress(spinner.update))
            await bring.run(file, values or (), chart_at=chart, node_name=node_name, seconds=wait)
        _say(f"The node of namespace {namespace} is online.")
        _say(f"  v6-node status -n {namespace} --watch    how it and its runs fare")
        _say(f"  v6-node logs -n {namespace} <run>         what an algorithm prints")
        _say(f"  v6-node down -n {namespace}               remove it")

    raise typer.Exit(carry_out(work()))


def progress(update: Callable[[str], None]) -> Callable[[str], None]:
    """Show what is being done: on a terminal as it changes, elsewhere a line for each change."""
    last = ""

    def show(phase: str) -> None:
        nonlocal last
        if _err.is_terminal:
            update(phase)
        elif phase != last:
            _tell(f"… {phase}")
        last = phase

    return show


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
    raise typer.Exit(carry_out(removal.down(where, _say, delete_data=delete_data, chart_at=chart)))


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
                _out.print(screen.node(now))
            return 0 if now["online"] else FAILED

    raise typer.Exit(carry_out(work()))


Once = Callable[[KubeApi], Coroutine[Any, Any, dict[str, Any]]]
_EVERY = 2.0


async def _live(api: KubeApi, once: Once, now: dict[str, Any]) -> None:
    with Live(screen.node(now), console=_out, auto_refresh=False) as live:
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
            _out.print(screen.nodes(states))
        if remark:
            _tell(remark)

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
            _say(f"The private key is in {file}.")
        if secret:
            async with connected(where) as api:
                await keys.put_private_key(api, where, secret, key)
            _say(f"The private key is in Secret {secret}; name it in node.encryption.existingSecret.")
        _say("Keep a copy where it is safe: what was encrypted for it can be read with no other key.")
        _say("Researchers and other nodes of the organization need this one too; the node registers its public key.")

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
                _say(f"Secret {change.secret} has that key already.")
                return
            _say(f"The API key is in Secret {change.secret} of namespace {namespace}.")
            if change.set_back:
                _tell("The next `helm upgrade` sets it back to node.api_key of the values: change it there too.")
            if change.runs and wait:
                with _err.status("waiting for the launcher to log in with it"):
                    await change.used()
                _say("The launcher logged in with it.")

    raise typer.Exit(carry_out(work()))


def _read_key(file: Path | None) -> str:
    """The key from a file, a pipe, or a person; never from the command line, which others can see."""
    if file is None:
        return str(typer.prompt("API key", hide_input=True)) if sys.stdin.isatty() else sys.stdin.read()
    try:
        return file.read_text()
    except (OSError, UnicodeError) as error:
        raise Failure(f"{file} can't be read ({error}); give a file with the key alone.") from error
