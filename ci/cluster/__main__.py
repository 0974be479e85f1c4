"""The command line: ``python -m ci.cluster up|down|status|load|env``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ci.cluster import containerd, foreign, lifecycle, processes, teardown
from ci.cluster.build import VERSIONS
from ci.cluster.errors import ClusterError
from ci.cluster.places import SLOTS, Home

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

NoPolicy = Annotated[bool, typer.Option("--no-policy", help="The second cluster, which enforces no NetworkPolicy.")]


@app.command()
def up(no_policy: NoPolicy = False) -> None:
    """Boot the local cluster, or repair it, unless it is well; the first time builds it (about 15 minutes)."""
    if kubeconfig := foreign():
        print(f"KUBECONFIG is set: {kubeconfig} is used, and nothing is built.")
        return
    home = Home.of(enforcing=not no_policy)
    lifecycle.up(home)
    print(f"export KUBECONFIG={home.kubeconfig}")


@app.command()
def down(
    no_policy: NoPolicy = False,
    force: Annotated[bool, typer.Option("--force", help="Even while a test or a demo is using it.")] = False,
) -> None:
    """Take the local clusters down (with --no-policy only the second), and leave nothing behind."""
    for enforcing in (False,) if no_policy else (False, True):
        home = Home.of(enforcing=enforcing)
        ran = lifecycle.down(home, force=force)
        if ran or enforcing or no_policy:
            print(f"{home.root.name}: {'down' if ran else 'was not running'}")


@app.command()
def status() -> None:
    """Say what runs, of which versions, and what dead clusters left; exit status 1 unless the cluster is well."""
    if kubeconfig := foreign():
        print(f"KUBECONFIG is set: {kubeconfig} is used.")
        return
    well = _describe(Home.of(enforcing=True))
    if Home.of(enforcing=False).root.exists():
        _describe(Home.of(enforcing=False))
    clusters = processes.running()
    ours = [processes.of(Home.of(enforcing=enforcing)) for enforcing in (True, False)]
    for node in clusters:
        if node not in ours:
            print(f"another cache's cluster: {node.root}, process {node.pid}" + (", abandoned" if node.orphan else ""))
    for slot in set(range(SLOTS)) - {node.slot for node in clusters}:
        for thing in teardown.leftovers(slot):
            print(f"left over: {thing} (the next up or down removes it)")
    sys.exit(0 if well else 1)


@app.command()
def load(tars: list[Path], no_policy: NoPolicy = False) -> None:
    """Import the images of OCI archives into the local cluster."""
    home = Home.of(enforcing=not no_policy)
    imported = containerd.load(home, tars)
    print("\n".join(imported) if imported else "all there already")


@app.command()
def env(no_policy: NoPolicy = False) -> None:
    """Print the line that makes a shell use the cluster: eval $(python -m ci.cluster env)."""
    print(f"export KUBECONFIG={foreign() or Home.of(enforcing=not no_policy).kubeconfig}")


def _describe(home: Home) -> bool:
    state = lifecycle.judge(home)
    print(f"{home.root.name}: {state}")
    node = processes.of(home)
    if node:
        print(f"  kubeconfig  {home.kubeconfig}")
        print(f"  logs        {home.log}")
        print(f"  look inside nsenter --target={node.pid} --all")
        print(f"  versions    {', '.join(f'{name} {version}' for name, version in VERSIONS.items())}")
    return state == "well"


def main() -> None:
    """Run a command; what is wrong with a cluster is one sentence, without a traceback."""
    try:
        app()
    except ClusterError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
