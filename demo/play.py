"""What happens in the demo, in the order in which it happens; and how all of it is removed again."""

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci import cluster as clusters
from ci import images as image_builder
from ci.cluster import Cluster
from ci.images import Image
from demo.patients import COLUMN, direct_average, write_patients
from demo.screen import Programme, compare, console, invite, live_runs
from tests.stage import StageError
from tests.stage.claims import fill_claim
from tests.stage.federation import Collaboration, Federation, Researcher
from tests.stage.kube import STAGE_LABEL, Kubectl
from tests.stage.node import Node, values_for
from tests.stage.server import Server
from tests.stage.task import Task

FOLDER = Path(__file__).parents[1] / ".demo"
HOSPITALS = ("North", "East", "South")
OWNER = "demo"
TASK_SECONDS = 300


@dataclass
class Hospital:
    """One of the three: its name, its patients' file, its node."""

    name: str
    namespace: str
    file: Path
    node: Node


def up(seed: int | None) -> bool:
    """Play it all, and leave it running; returns whether the federated number equals the direct one."""
    seed = seed if seed is not None else random.SystemRandom().randrange(10**6)
    programme = Programme()
    with programme.stage("a Kubernetes cluster"):
        cluster = clusters.ensure()
        kubectl = Kubectl(cluster.kubeconfig)
    with programme.stage("images of the node and of the algorithm"):
        images = image_builder.ensure_loaded(cluster, ["v6-node", "v6-node-diagnostics", "average"])
    if remains(kubectl):
        with programme.stage("an earlier demo is removed"):
            remove(kubectl)
    with programme.stage("a vantage6 server, three hospitals and their collaboration"):
        server = Server(FOLDER / "server", cluster.host_address)
        server.start(detached=True)
        (FOLDER / "kubeconfig").write_text(str(cluster.kubeconfig))
        collaboration = found(server)
    with programme.stage(f"patients that never were, of seed {seed}; a node for each hospital"):
        hospitals = settle(cluster, kubectl, collaboration, images, seed)
        for hospital in hospitals:
            hospital.node.wait_online()
    with programme.stage("the federated average"):
        researcher = collaboration.researcher()
        federated = compute(researcher, images["average"].ref, hospitals)
    console.print()
    agree = compare(federated, *direct_average([hospital.file for hospital in hospitals]))
    programme.show()
    console.print()
    introduce(researcher, images["average"].ref)
    invite(sights(cluster, kubectl, server, seed))
    return agree


def found(server: Server) -> Collaboration:
    """Register the hospitals and what they do together."""
    federation = Federation(server)
    organizations = [federation.organization(f"Hospital {name}") for name in HOSPITALS]
    return federation.collaboration("Blood pressure", organizations)


def settle(
    cluster: Cluster, kubectl: Kubectl, collaboration: Collaboration, images: dict[str, Image], seed: int
) -> list[Hospital]:
    """Write each hospital's patients and install its node; returns before the nodes are online."""
    hospitals = []
    server = collaboration.federation.server
    for name, account in zip(HOSPITALS, collaboration.nodes, strict=True):
        namespace = f"v6-demo-{name.lower()}"
        file = FOLDER / "data" / f"hospital-{name.lower()}.csv"
        count = write_patients(file, f"{seed}-{name}")
        values = values_for(account, server.url, server.port, images)
        node = Node(kubectl, collaboration, account, namespace, values, folder=FOLDER, owner=OWNER)
        node.create_namespace()
        values["node"]["databases"] = [_database(cluster, kubectl, namespace, file, images["average"].ref)]
        node.install()
        told = f"  Hospital {name}: {count} patients in {_short(file)}, values in {_short(node.values_file)}"
        console.print(told, soft_wrap=True)
        hospitals.append(Hospital(f"Hospital {name}", namespace, file, node))
    return hospitals


def _database(cluster: Cluster, kubectl: Kubectl, namespace: str, file: Path, image: str) -> dict[str, Any]:
    """Describe the file as a database: by its path where the cluster's disk is this machine's, else in a claim."""
    database = {"label": "default", "type": "csv"}
    if cluster.local:
        return {**database, "uri": str(file)}
    fill_claim(kubectl, namespace, "patients", image, files={file.name: file.read_bytes()})
    return {**database, "uri": file.name, "claim": "patients"}


def compute(researcher: Researcher, image: str, hospitals: list[Hospital]) -> dict[str, Any]:
    """Send the task as a researcher would, and follow its runs, and those it starts, to the end."""
    centre = hospitals[0].node.account.organization
    task = researcher.send(image, "central_average", to=[centre], column=COLUMN, databases=["default"])
    names = {hospital.node.account.organization.id: hospital.name for hospital in hospitals}
    with live_runs() as table:

        def look(one: Task) -> bool:
            children = [Task(one.client, child) for child in one.children()]
            told = [(one, "central_average"), *((child, "partial_average") for child in children)]
            table.tell(
                [
                    (names[run["organization"]["id"]], function, run["status"])
                    for each, function in told
                    for run in each.runs()
                ]
            )
            return one.finished()

        task.wait(TASK_SECONDS, until=look)
        look(task)
    return dict(task.result())


def remains(kubectl: Kubectl) -> bool:
    """Tell whether anything of an earlier demo is there."""
    return FOLDER.exists() or bool(kubectl.get("namespaces", selector=f"{STAGE_LABEL}={OWNER}"))


def remove(kubectl: Kubectl | None) -> None:
    """Remove nodes and namespaces (if there is a cluster to ask), server, data and values; not the cluster."""
    if kubectl:
        names = [each["metadata"]["name"] for each in kubectl.get("namespaces", selector=f"{STAGE_LABEL}={OWNER}")]
        for name in names:
            kubectl.helm("uninstall", "v6-node", "--ignore-not-found", "--no-hooks", namespace=name)
        if names:
            kubectl("delete", "namespace", *names, "--ignore-not-found", seconds=180)
    if (FOLDER / "server").exists():
        Server(FOLDER / "server").stop()
    shutil.rmtree(FOLDER, ignore_errors=True)


def down() -> None:
    """Remove the demo, where there is one."""
    kubeconfig = FOLDER / "kubeconfig"
    if not kubeconfig.exists():
        remove(None)
        console.print("There is no demo to remove.")
        return
    kubectl = Kubectl(Path(kubeconfig.read_text()))
    try:
        kubectl("version", "--request-timeout=5s", seconds=20)
    except StageError:
        console.print("The cluster does not answer: only what is on this machine is removed.")
        remove(None)
        return
    remove(kubectl)
    console.print("Nodes, namespaces, server and patients are gone; the cluster stays.")


def introduce(researcher: Researcher, image: str) -> None:
    """Write down what a researcher needs to ask again: a login, and what there is to ask."""
    collaboration = researcher.collaboration
    server = collaboration.federation.server
    login = {"url": server.url, "port": server.port, "user": researcher.name, "password": researcher.password}
    whom = {"collaboration": collaboration.id, "organization": collaboration.nodes[0].organization.id}
    (FOLDER / "researcher.json").touch(mode=0o600)
    (FOLDER / "researcher.json").write_text(json.dumps({**login, **whom, "image": image, "column": COLUMN}))


def sights(cluster: Cluster, kubectl: Kubectl, server: Server, seed: int) -> list[tuple[str, str]]:
    """Return what there is to look at: description and command."""
    north = f"kubectl -n v6-demo-{HOSPITALS[0].lower()}"
    return [
        ("first", f'export KUBECONFIG={cluster.kubeconfig} PATH="{kubectl.programs}:$PATH"'),
        ("the three nodes", "kubectl get pods -A -l app.kubernetes.io/name=v6-node"),
        ("what the launcher did", f"{north} logs v6-node-launcher-0"),
        ("what isolates algorithms, and what the launcher may do", f"{north} get networkpolicy,role,pvc"),
        ("the values that a node was installed with", f"cat {_short(FOLDER)}/v6-demo-north.yaml"),
        ("the server", f"curl {server.api}/version"),
        ("another task, by vantage6-client (demo/ask.py)", ".venv/bin/python -m demo.ask"),
        ("the researcher's login that it uses", f"cat {_short(FOLDER)}/researcher.json"),
        ("other patients", "make demo"),
        ("the same patients again", f".venv/bin/python -m demo up --seed {seed}"),
        ("remove it (the cluster stays: make cluster-down)", "make demo-down"),
    ]


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
