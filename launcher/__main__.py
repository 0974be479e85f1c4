"""The command line of the node: `run` is what the launcher's pod executes, the rest what its administrator does."""

import asyncio
import gc
import logging
import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from launcher import logs
from launcher.admin import commands
from launcher.apikey import ApiKey
from launcher.config import ConfigError, NodeConfig
from launcher.doctor import command as examination
from launcher.encryption import MOUNTED_KEY, encryption
from launcher.invariants import InvariantError
from launcher.isolationreport import SECONDS, show
from launcher.leaving import farewell
from launcher.node import run_node
from launcher.question import NoAnswer, ask
from launcher.render import command as preview
from launcher.render.chart import CHART
from launcher.render.sample import Described
from launcher.session import LoginRefused
from launcher.templates import TemplateError
from launcher.translate import command
from launcher.translate.findings import Site

log = logging.getLogger("launcher")

NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

app.add_typer(commands.app)
app.add_typer(examination.app)


@app.callback()
def main() -> None:
    """The vantage6 node for Kubernetes."""


@app.command()
def run(
    config: Annotated[Path, typer.Option(envvar="V6_NODE_CONFIG", help="The node's configuration file.")],
    secrets: Annotated[Path, typer.Option(envvar="V6_NODE_SECRETS", help="Folder of the mounted Secret.")],
    tasks: Annotated[Path, typer.Option(envvar="V6_NODE_TASKS", help="Where the task volume is mounted.")],
    *,
    private_key: Annotated[
        Path, typer.Option(envvar="V6_NODE_PRIVATE_KEY", help="The mounted private key, where there is encryption.")
    ] = MOUNTED_KEY,
    templates: Annotated[
        Path | None, typer.Option(envvar="V6_NODE_TEMPLATES", help="Folder of the administrator's job templates.")
    ] = None,
    registries: Annotated[
        Path | None, typer.Option(envvar="V6_NODE_REGISTRIES", help="Folder of the registries' credentials.")
    ] = None,
) -> None:
    """Be the node: take runs, execute them as Jobs, deliver their results, until told to stop."""
    # Everything that this process writes is for it and its group, the algorithms' group among them.
    os.umask(0o007)
    logs.configure("INFO")
    refusals: list[str] = []
    try:
        settings = NodeConfig.load(config)
        logs.configure(settings.node.logging.level)
        api_key = ApiKey(None, secrets) if settings.kubernetes.protocol == "v4" else ApiKey("")
        cryptor = encryption(settings.node.encryption.enabled, private_key)
        # The program itself never becomes garbage, and trees of JSON, which are most of the rest, have no circles.
        gc.freeze()
        gc.set_threshold(10_000)
        asyncio.run(run_node(settings, api_key, cryptor, tasks, overrides=templates, logins=registries))
    except* (ConfigError, LoginRefused, TemplateError, InvariantError) as group:
        refusals = _sentences(group)
    # Outside of the block: an exit from within would be shown as a traceback of everything that led to it.
    if refusals:
        for sentence in refusals:
            log.critical(sentence)
        sys.exit(1)


@app.command()
def check_isolation(
    url: Annotated[str, typer.Option(help="Address of the launcher's status.")] = "http://127.0.0.1:8081",
) -> None:
    """Have the running launcher try every way out now; exit with 1 unless all are shut."""
    try:
        report = ask(url, "isolation", SECONDS)
    except NoAnswer as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    # Not as wide as a terminal that isn't there: a line in a pod's log is not wrapped.
    show(report, Console(width=120, emoji=False))
    raise typer.Exit(0 if report["passed"] else 1)


@app.command()
def leave(
    url: Annotated[str, typer.Option(help="Address of the launcher's status.")] = "http://127.0.0.1:8081",
) -> None:
    """Have the running launcher end what runs and tell the server: what `helm uninstall` does first."""
    typer.echo(farewell(url))


@app.command()
def translate(
    file: Annotated[Path, typer.Argument(help="A vantage6 4.x node configuration file.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the chart's values go, instead of standard output.")
    ] = None,
    secrets: Annotated[
        Path | None, typer.Option(help="Where Secret manifests go, so that the values have no secrets in them.")
    ] = None,
    namespace: Annotated[str, typer.Option(help="Namespace of the node, and so of its Secrets.")] = "v6-node",
    node_name: Annotated[
        str | None, typer.Option(help="The cluster's machine that has the files of databases.")
    ] = None,
) -> None:
    """Turn a vantage6 configuration file into values of the chart; exit with 1 where something has to be filled in."""
    for option, name in {"--namespace": namespace, "--node-name": node_name}.items():
        if name is not None and not NAME.fullmatch(name):
            sentence = f"{name!r} is no name in Kubernetes; use small letters, digits and dashes"
            raise typer.BadParameter(sentence, param_hint=option)
    raise typer.Exit(command.run(file, output, secrets, Site(node_name, namespace, secrets is not None)))


@app.command()
def render(
    *,
    values: Annotated[
        list[Path], typer.Option("--values", "-f", help="A values file; later ones go before earlier.")
    ] = [],  # noqa: B006
    config: Annotated[Path | None, typer.Option(help="Instead of values: what a running launcher reads.")] = None,
    templates: Annotated[
        Path | None, typer.Option(envvar="V6_NODE_TEMPLATES", help="With --config: the folder of job templates.")
    ] = None,
    task: Annotated[Path | None, typer.Option(help="A task in JSON, as the server tells of it.")] = None,
    image: Annotated[str | None, typer.Option(help="Image of the task.")] = None,
    database: Annotated[list[str], typer.Option(help="Label of a database that it asks for; may be repeated.")] = [],  # noqa: B006
    organization: Annotated[int | None, typer.Option(help="Number of the organization that sends it.")] = None,
    user: Annotated[int | None, typer.Option(help="Number of the user that sends it.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the task.")] = None,
    profile: Annotated[str | None, typer.Option(help="A profile, whatever the rules say; '' for none.")] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show the difference to the shipped templates instead.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Tell why it is as it is.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Ask the API server too, by a dry run.")] = False,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the node.")] = "v6-node",
    chart: Annotated[Path, typer.Option(help="Folder of the chart.")] = CHART,
    helm: Annotated[str, typer.Option(help="Name or path of helm.")] = "helm",
) -> None:
    """Show the Job that a task would get, without a server; exit with 1 where the launcher would refuse it."""
    described = Described(image, tuple(database), organization, user, name)
    raise typer.Exit(
        preview.run(
            preview.Wanted(
                files=tuple(values),
                config=config,
                templates=templates,
                chart=chart,
                helm=helm,
                namespace=namespace,
                task=task,
                described=described,
                profile=profile,
                diff=diff,
                explain=explain,
                check=check,
            )
        )
    )


def _sentences(error: BaseException) -> list[str]:
    if isinstance(error, BaseExceptionGroup):
        return [sentence for part in error.exceptions for sentence in _sentences(part)]
    return [str(error)]


if __name__ == "__main__":
    app()
