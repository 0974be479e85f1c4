"""The proof of concept's protocol on the cluster: the dummy server at the host's address, the README's command.

The judges are the file itself, computed directly; a watch of our own on Jobs and pods; the task volume.
"""

import csv
import itertools
import math
import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ci.cluster import Cluster
from ci.images import Image
from tests.poc.command_emitter import Emitter, Reply, example
from tests.poc.stage import EMPLOYEES, DummyServer, PocNode, output_of, values_for
from tests.stage.claims import fill_claim
from tests.stage.kube import Kubectl
from tests.stage.node import INTERNET, owner_of_this_process
from tests.stage.stagehand import Stagehand
from tests.stage.waiting import wait_until
from tests.stage.watching import Witness

END_SECONDS = 120
_numbers = itertools.count(random.randrange(1, 10**8))


@dataclass
class Scene:
    """A node of a dummy server, an emitter and a witness."""

    node: PocNode
    server: DummyServer
    emitter: Emitter
    witness: Witness
    image: str

    def run(self, seconds: int = 0, **changes: object) -> tuple[int, Reply]:
        """Send the README's command, whose algorithm stays for so long; returns its number and the first reply."""
        number = next(_numbers)
        payload = example(self.image, number, **changes)
        payload["task_info"]["arg4"] = str(seconds)
        return number, self.emitter.ask(payload)

    def status(self, number: int, status: str) -> Reply:
        return self.emitter.next(
            lambda reply: reply.get("run_id") == number and reply.get("status") == status, END_SECONDS
        )


@pytest.fixture(scope="module")
def scene(
    cluster: Cluster, kubectl: Kubectl, images: dict[str, Image], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("poc")
    namespace = f"v6-test-{secrets.token_hex(3)}"
    image = images["poc-average"].ref
    server = DummyServer(folder).configure(cluster.host_address).start()
    database = {"label": "default", "type": "csv", "uri": "employees.csv", "claim": "employees"}
    values = values_for(server, images, [database])
    values["admissionPolicy"] = {"enabled": True}  # the cluster, too, lets these jobs through
    node = PocNode(kubectl, namespace, values, folder=folder, owner=owner_of_this_process())
    try:
        node.create_namespace()
        fill_claim(kubectl, namespace, "employees", image, files={"employees.csv": EMPLOYEES.read_bytes()})
        node.install()
        node.wait_online(server)
        with Witness(kubectl.kubeconfig, namespace) as witness, Emitter(server.url) as emitter:
            yield Scene(node, server, emitter, witness, image)
    finally:
        node.remove()
        server.stop()


def direct_average(path: Path = EMPLOYEES) -> float:
    with path.open() as file:
        ages = [float(row["Age"]) for row in csv.DictReader(file)]
    return math.fsum(ages) / len(ages)


def test_the_readmes_command_leaves_the_average_where_the_proof_of_concept_did(
    scene: Scene, stagehand: Stagehand
) -> None:
    number, reply = scene.run()
    assert reply["ok"], reply
    assert [warning.split()[1] for warning in reply["warnings"]] == ["'db1'", "'db2'", "'db3'"]
    told = scene.emitter.end_of(number, END_SECONDS)
    assert told["status"] == "completed", told
    assert float(output_of(told)) == direct_average()
    assert scene.node.file(f"{number}/output/avg.txt") == output_of(told)
    assert f"Outbound access is disabled ({INTERNET[0]})" in told["log"]
    assert "The proxy is reachable" in told["log"]
    assert "input: ['default']" in told["log"]
    # That it was shut says something because it is open to others.
    assert stagehand.reach([{"host": INTERNET[0], "port": 443, "kind": "tcp", "timeout": 5}]) == ["connected"]
    # The Job goes, and what the algorithm was handed; what it made stays.
    wait_until(lambda: not scene.node.jobs(), 60, lambda: f"Jobs left: {scene.node.jobs()}")
    wait_until(lambda: not _handed(scene, number), 60, lambda: f"files left: {_handed(scene, number)}")
    assert scene.node.file(f"{number}/output/avg.txt") == output_of(told)


def _handed(scene: Scene, number: int) -> list[str]:
    return [path for path in scene.node.tree() if path.startswith(f"runs/{number}-")]


def test_the_same_number_twice_is_executed_once(scene: Scene) -> None:
    number, _ = scene.run()
    during = scene.emitter.ask(example(scene.image, number))
    scene.emitter.end_of(number, END_SECONDS)
    after = scene.emitter.ask(example(scene.image, number))
    for reply in (during, after):
        assert not reply["ok"]
        assert f"Run {number} is known already" in reply["message"]
    assert len(scene.witness.of_run(number, "Job")) == len(scene.witness.of_run(number, "Pod")) == 1


def test_a_running_algorithm_is_listed_and_can_be_killed(scene: Scene) -> None:
    number, _ = scene.run(600)
    scene.status(number, "active")
    listed = scene.emitter.ask({"command": "list"})["runs"]
    assert [run["status"] for run in listed if run["run_id"] == number] == ["active"]
    assert scene.emitter.ask({"command": "kill", "run_id": number})["ok"]
    assert scene.emitter.end_of(number, END_SECONDS)["status"] == "killed by user"
    wait_until(lambda: not scene.node.pods("algorithm"), 60, lambda: "the algorithm's pod is still there")
    assert scene.emitter.ask({"command": "result", "run_id": number})["status"] == "killed by user"


def test_an_algorithm_that_fails_is_told_of_with_its_log(scene: Scene) -> None:
    number, _ = scene.run(task_info={"arg1": "/app/input/csv/db1", "arg2": "Age", "arg3": "/app/output/avg.txt"})
    told = scene.emitter.end_of(number, END_SECONDS)
    assert told["status"] == "crashed"
    assert "No such file or directory: '/app/input/csv/db1'" in told["log"]


def test_the_database_is_read_only_and_runs_with_one_temporary_volume_share_it(scene: Scene) -> None:
    output = {"arg1": "/app/input/csv/default", "arg2": "Age", "arg3": "/app/input/csv/default"}
    number, _ = scene.run(task_info=output)
    assert "Read-only file system" in scene.emitter.end_of(number, END_SECONDS)["log"]
    shared = {"arg1": "/app/input/csv/default", "arg2": "Age", "arg3": "/app/tmp/Age"}
    number, _ = scene.run(task_info=shared, tmp_vol_name="shared")
    assert scene.emitter.end_of(number, END_SECONDS)["status"] == "completed"
    (path,) = [path for path in scene.node.tree() if path.startswith("jobs/") and path.endswith("/Age")]
    assert float(scene.node.file(path)) == direct_average()


def test_a_hostile_command_is_refused_in_a_sentence_and_leaves_nothing(scene: Scene) -> None:
    before = scene.node.tree()
    for change in ({"run_id": "../../7"}, {"tmp_vol_name": "../x"}, {"databases_to_use": ["../default"]}):
        reply = scene.emitter.ask({**example(scene.image, next(_numbers)), **change})
        assert not reply["ok"]
        assert next(iter(change)) in reply["message"]
    assert set(scene.node.tree()) <= set(before), "files of runs before it may just have gone"


def test_a_launcher_that_is_killed_loses_no_run_and_repeats_none(scene: Scene) -> None:
    number, _ = scene.run(20)
    scene.status(number, "active")
    scene.node.kill_launcher()
    told = scene.emitter.end_of(number, END_SECONDS)
    assert told["status"] == "completed"
    assert float(output_of(told)) == direct_average()
    assert len(scene.witness.of_run(number, "Job")) == len(scene.witness.of_run(number, "Pod")) == 1


def test_a_run_that_ends_while_the_server_is_away_is_told_of_when_asked(scene: Scene) -> None:
    number, _ = scene.run(10)
    scene.status(number, "active")
    scene.server.stop()
    wait_until(lambda: not scene.node.jobs(), 90, lambda: f"Jobs left: {scene.node.jobs()}")
    scene.server.start()
    scene.node.wait_online(scene.server)
    with Emitter(scene.server.url) as emitter:
        told = emitter.ask({"command": "result", "run_id": number})
    assert told["status"] == "completed"
    assert float(output_of(told)) == direct_average()
