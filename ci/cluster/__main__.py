"""The command line: ``python -m ci.cluster up|down|status|load|gvisor|env``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ci.cluster import containerd, foreign, lifecycle, processes, teardown
from ci.cluster.build import GVISOR, VERSIONS
from ci.cluster.errors import ClusterError
from ci.cluster.places import SLOTS, Home

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

NoPolicy = Annotated[bool, typer.Option("--no-policy", help="Another cluster, which enforces no NetworkPolicy.")]
Nodes = Annotated[int, typer.Option("--nodes", min=1, max=2, help="With 2: another cluster, of two machines.")]
Dra = Annotated[bool, typer.Option("--dra", help="Another cluster, with containerd 2 and devices to claim.")]


@app.command()
def up(no_policy: NoPolicy = False, nodes: Nodes = 1, dra: Dra = False) -> None:
    """Boot the local cluster, or repair it, unless it is well; the first time builds it (about 15 minutes)."""
    if kubeconfig := foreign():
        print(f"KUBECONFIG is set: {kubeconfig} is used, and nothing is built.")
        return
    home = Home.of(enforcing=not no_policy, nodes=nodes, dra=dra)
    lifecycle.up(home)
    print(f"export KUBECONFIG={home.kubeconfig}")


@app.command()
def down(
    no_policy: NoPolicy = False,
    nodes: Nodes = 1,
    dra: Dra = False,
    force: Annotated[bool, typer.Option("--force", help="Even while a test or a demo is using it.")] = False,
) -> None:
    """Take the local clusters down (with an option that names another, only that one), and leave nothing behind."""
    chosen = Home.of(enforcing=not no_policy, nodes=nodes, dra=dra)
    others = [home for home in Home.every()[1:] if home.root.exists()] if chosen == Home.of() else []
    for home in [*others, chosen]:
        ran = lifecycle.down(home, force=force)
        if ran or home == chosen:
            print(f"{home.root.name}: {'down' if ran else 'was not running'}")


@app.command()
def status() -> None:
    """Say what runs, of which versions, and what dead clusters left; exit status 1 unless the cluster is well."""
    if kubeconfig := foreign():
        print(f"KUBECONFIG is set: {kubeconfig} is used.")
        return
    normal, *others = Home.every()
    well = _describe(normal)
    for home in others:
        if home.root.exists():
            _describe(home)
    clusters = processes.running()
    ours = [processes.of(home) for home in Home.every()]
    for node in clusters:
        if node not in ours:
            print(f"another cache's cluster: {node.root}, process {node.pid}" + (", abandoned" if node.orphan else ""))
    for slot in set(range(SLOTS)) - {node.slot for node in clusters}:
        for thing in teardown.leftovers(slot):
            print(f"left over: {thing} (the next up or down removes it)")
    sys.exit(0 if well else 1)


@app.command()
def load(tars: list[Path], no_policy: NoPolicy = False, nodes: Nodes = 1, dra: Dra = False) -> None:
    """Import the images of OCI archives into the local cluster."""
    home = Home.of(enforcing=not no_policy, nodes=nodes, dra=dra)
    imported = containerd.load(home, tars)
    print("\n".join(imported) if imported else "all there already")


@app.command()
def gvisor(no_policy: NoPolicy = False, nodes: Nodes = 1, dra: Dra = False) -> None:
    """Have pods of the RuntimeClass gvisor run in the local cluster; the first time builds it (some minutes)."""
    lifecycle.add(Home.of(enforcing=not no_policy, nodes=nodes, dra=dra), GVISOR)


@app.command()
def env(no_policy: NoPolicy = False, nodes: Nodes = 1, dra: Dra = False) -> None:
    """Print the line that makes a shell use the cluster: eval $(python -m ci.cluster env)."""
    print(f"export KUBECONFIG={foreign() or Home.of(enforcing=not no_policy, nodes=nodes, dra=dra).kubeconfig}")


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
