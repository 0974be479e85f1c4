"""A node observed from all sides: what the server is told, which Jobs and pods there are, how often it executes.

None of the observers asks the launcher: a recording proxy is before the real server, a watch of our own is at the API
server, and the algorithm `tick` leaves a mark each time it is executed.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.cluster.troupe import Troupe
from tests.stage.federation import Researcher
from tests.stage.node import LAUNCHER, Node
from tests.stage.recorder import Recorder
from tests.stage.task import Task
from tests.stage.waiting import wait_until
from tests.stage.watching import Witness


@dataclass
class Observed:
    """A node behind a recorder, with a witness."""

    node: Node
    researcher: Researcher
    recorder: Recorder
    witness: Witness
    image: str

    def send(self, mark: str, seconds: float = 0, **more: Any) -> Task:
        """Send a task that leaves a mark of this name and takes so many seconds."""
        return self.researcher.send(self.image, "tick", mark, seconds, **more)

    def hold(self, mark: str) -> Task:
        """Send one that ends when it is told to; it calls home meanwhile."""
        return self.researcher.send(self.image, "hold", mark)

    def let_go(self, *marks: str) -> None:
        """Tell the runs of `hold` to end."""
        for mark in marks:
            self._python(f"[(file.parent / '{mark}.end').touch() for file in jobs.glob('*/{mark}')]")

    def judge(self, *tasks: Task) -> None:
        """Every run was executed once, by one pod of one Job, and the server took one result for it."""
        for task in tasks:
            task.wait(180)
        # What arrives late would be the second: wait until nothing is left to do.
        wait_until(lambda: not self.node.jobs(), 60, lambda: f"Jobs left: {self.node.jobs()}")
        for task in tasks:
            run = task.run()
            assert run["status"] == "completed", run["log"]
            assert task.result()["executions"] == self.marks(task.result()["run"]) == 1
            assert self.told(task) == ["completed"]
            assert [len(self.witness.of_run(run["id"], kind)) for kind in ("Job", "Pod")] == [1, 1]

    def told(self, task: Task) -> list[str]:
        """With which statuses the server was told that a task's run ended, and took it."""
        return [each.body["status"] for each in self.recorder.deliveries(task.run()["id"])]

    def marks(self, mark: str) -> int:
        """Count the marks of this name that executions left on the node's task volume."""
        return int(self._python(f"print(sum(len(f.read_text().split()) for f in jobs.glob('*/{mark}')))"))

    def _python(self, code: str) -> str:
        """What a line of Python prints in the launcher's pod, where `jobs` is what runs of one job share."""
        said = f"import pathlib; jobs = pathlib.Path('/tasks/jobs'); {code}"
        return self.node.kubectl("exec", LAUNCHER, "--", "python", "-c", said, namespace=self.node.namespace)


def active(task: Task) -> Task:
    """Wait until a task's only run is active."""
    return task.wait(90, until=lambda each: each.statuses() == ["active"])


@contextlib.contextmanager
def observed(troupe: Troupe, address: str, image: str) -> Iterator[Observed]:
    """Make a node of a collaboration of its own, which is not installed yet.

    Args:
        troupe: removes it.
        address: of this machine, where the cluster's pods reach the recorder.
        image: of the algorithm `behave`.
    """
    server = troupe.federation.server
    with Recorder(address, f"{server.url}:{server.port}") as recorder:
        node = troupe.node(troupe.collaboration(), port=recorder.port)
        with Witness(troupe.kubectl.kubeconfig, node.namespace) as witness:
            yield Observed(node, node.collaboration.researcher(), recorder, witness, image)
