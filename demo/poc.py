"""`make poc`: the steps of the proof of concept's README, with this node; and how all of it is removed again."""

import csv
import math
import random
import shutil
from pathlib import Path
from typing import Any

from rich.tree import Tree

from ci import cluster as clusters
from ci import images as image_builder
from ci.cluster import Cluster
from demo.screen import TOLERANCE, Programme, console, invite
from tests.poc.command_emitter import Emitter, Reply, example
from tests.poc.stage import EMPLOYEES, DummyServer, PocNode, output_of, values_for
from tests.stage import StageError
from tests.stage.claims import fill_claim
from tests.stage.kube import STAGE_LABEL, Kubectl

FOLDER = Path(__file__).parents[1] / ".poc"
NAMESPACE = "v6-poc"
OWNER = "poc"
PORT = 5000
END_SECONDS = 300.0
COLUMN = "Age"
IMAGES = ["v6-node", "v6-node-diagnostics", "poc-average"]


def up() -> bool:
    """Play it all, and leave it running; returns whether the algorithm's average equals the direct one."""
    programme = Programme()
    with programme.stage("steps 1 to 3, 10: a cluster with the images"):
        cluster = clusters.ensure()
        kubectl = Kubectl(cluster.kubeconfig)
        images = image_builder.ensure_loaded(cluster, IMAGES)
        image = images["poc-average"].ref
    if FOLDER.exists() or kubectl.get("namespaces", selector=f"{STAGE_LABEL}={OWNER}"):
        with programme.stage("an earlier one is removed"):
            remove(kubectl)
    with programme.stage("steps 6 to 8: the dummy server"):
        server = DummyServer(FOLDER).configure(cluster.host_address, PORT).start()
        (FOLDER / "kubeconfig").write_text(str(cluster.kubeconfig))
        console.print(f"  {server.url}, as {_short(server.config)} says; its log is {_short(FOLDER)}/server.log")
    with programme.stage("steps 4, 5, 9, 13, 14: the node, by one values file"):
        node = PocNode(kubectl, NAMESPACE, {}, folder=FOLDER, owner=OWNER)
        node.create_namespace()
        node.values = values_for(server, images, [_database(cluster, kubectl, image)])
        node.install()
        node.wait_online(server)
        console.print(f"  values in {_short(node.values_file)}; its isolation was checked, and it is online")
    with programme.stage("step 15: the command, by the command emitter"):
        told = emit(server, image)
    with programme.stage("steps 16, 17: the log, and the task volume"):
        console.print(told["log"], markup=False, style="cyan")
        console.print(_tree(node.tree()))
    console.print()
    agree = compare(float(node.file(f"{told['run_id']}/output/avg.txt")), told)
    programme.show()
    console.print()
    invite(sights(cluster, kubectl, node, image, told["run_id"]))
    return agree


def emit(server: DummyServer, image: str) -> Reply:
    """Send the README's command, show what the node replies, and return the reply that tells how the run ended."""
    payload = example(image, random.SystemRandom().randrange(1, 10**9))
    console.print_json(data=payload)
    with Emitter(server.url) as emitter:
        first = emitter.ask(payload)
        for warning in first.get("warnings", ()):
            console.print(f"  [yellow]warning[/] {warning}", soft_wrap=True)
        if not first["ok"]:
            raise StageError(f"The node refused: {first['message']}")
        told = emitter.end_of(payload["run_id"], END_SECONDS)
    console.print(f"  run {told['run_id']}: {told['status']} {told['message']}".rstrip())
    if told["status"] != "completed":
        raise StageError(f"The run did not complete: {told['message']}\n{told['log']}")
    return told


def compare(on_volume: float, told: Reply) -> bool:
    """Show the average as it is on the task volume and in the reply, and computed directly; whether they agree."""
    with EMPLOYEES.open(newline="") as file:
        values = [float(row[COLUMN]) for row in csv.DictReader(file)]
    direct = math.fsum(values) / len(values)
    agree = all(abs(found - direct) <= TOLERANCE * abs(direct) for found in (on_volume, float(output_of(told))))
    console.print(f"Average of {COLUMN} by the algorithm: [bold]{on_volume!r}[/] ({told['run_id']}/output/avg.txt)")
    console.print(f"Computed directly:           [bold]{direct!r}[/] ({_short(EMPLOYEES)})")
    console.print("[bold green]They agree.[/]\n" if agree else "[bold red]They differ.[/]\n")
    return agree


def down() -> None:
    """Remove the node and the dummy server, where there are any; the cluster stays."""
    kubeconfig = FOLDER / "kubeconfig"
    remove(Kubectl(Path(kubeconfig.read_text())) if kubeconfig.exists() else None)
    console.print("The node and the dummy server are gone; the cluster stays.")


def remove(kubectl: Kubectl | None) -> None:
    """Remove node and namespace (if there is a cluster to ask), server and values."""
    DummyServer(FOLDER).stop()
    if kubectl and kubectl.get("namespaces", selector=f"{STAGE_LABEL}={OWNER}"):
        kubectl.helm("uninstall", "v6-node", "--ignore-not-found", "--no-hooks", namespace=NAMESPACE)
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", seconds=180)
    shutil.rmtree(FOLDER, ignore_errors=True)


def sights(cluster: Cluster, kubectl: Kubectl, node: PocNode, image: str, run_id: int) -> list[tuple[str, str]]:
    """Return what there is to look at: description and command."""
    emitter = f".venv/bin/python -m tests.poc.command_emitter {{}} --config {_short(FOLDER)}/server_config.yaml"
    kube = f"kubectl -n {NAMESPACE}"
    return [
        ("first", f'export KUBECONFIG={cluster.kubeconfig} PATH="{kubectl.programs}:$PATH"'),
        ("another run, with a number by chance", emitter.format(f"run --image {image}")),
        ("all runs", emitter.format("list")),
        ("what became of a run", emitter.format(f"result {run_id}")),
        ("end a run", emitter.format(f"kill {run_id}")),
        ("what the launcher did", f"{kube} logs v6-node-launcher-0"),
        ("the pods, in place of the dashboard", f"{kube} get pods,jobs --watch"),
        ("what isolates algorithms", f"{kube} get networkpolicy"),
        ("the values", f"cat {_short(node.values_file)}"),
        ("remove it (the cluster stays: make cluster-down)", "make poc-down"),
    ]


def _database(cluster: Cluster, kubectl: Kubectl, image: str) -> dict[str, Any]:
    """The file as a database: by its path where the cluster's disk is this machine's, else in a claim."""
    database = {"label": "default", "type": "csv"}
    if cluster.local:
        copy = FOLDER / "csv" / EMPLOYEES.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(EMPLOYEES, copy)
        copy.chmod(0o644)
        return {**database, "uri": str(copy)}
    fill_claim(kubectl, NAMESPACE, "employees", image, files={EMPLOYEES.name: EMPLOYEES.read_bytes()})
    return {**database, "uri": EMPLOYEES.name, "claim": "employees"}


def _tree(paths: list[str]) -> Tree:
    """The task volume as `tree` would show it."""
    tree = Tree("<the task volume>")
    branches = {"": tree}
    for path in paths:
        parent, _, name = path.rpartition("/")
        branches[path] = branches[parent].add(name)
    return tree


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
