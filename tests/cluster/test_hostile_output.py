"""What an algorithm leaves as its output may be meant to harm: it is refused, in one sentence, and nothing leaks."""

import json

import pytest

from ci.images import Image
from tests.cluster.troupe import Troupe
from tests.stage.federation import Researcher
from tests.stage.node import LAUNCHER, Node
from tests.stage.task import Task
from tests.stage.waiting import wait_until

REFUSED = {
    "link to the node's key": "left no output that can be read",
    "link to other runs": "left no output that can be read",
    "link to its own input": "left no output that can be read",
    "link to nothing": "left no output that can be read",
    "second name of the token": "not a regular file with one name",
    "pipe": "not a regular file with one name",
    "socket": "left no output that can be read",
    "folder": "not a regular file with one name",
    "1 TiB of nothing": "larger than the",
    "unreadable": "left no output that can be read",
    "nothing": "left no output that can be read",
}


@pytest.fixture(scope="module")
def node(troupe: Troupe) -> Node:
    return troupe.node(troupe.collaboration()).start()


@pytest.fixture(scope="module")
def tasks(researcher: Researcher, images: dict[str, Image]) -> dict[str, Task]:
    """All of them at once."""
    return {kind: researcher.send(images["behave"].ref, "leave", kind) for kind in REFUSED}


@pytest.mark.parametrize("kind", REFUSED)
def test_hostile_output_is_refused(tasks: dict[str, Task], node: Node, kind: str) -> None:
    run = tasks[kind].wait(180).run()
    assert run["status"] == "failed"
    assert REFUSED[kind] in run["log"]
    assert node.account.api_key not in json.dumps(run)
    assert tasks[kind].client.result.get(run["id"]) in (None, "", b"")


def test_an_algorithm_makes_no_devices(researcher: Researcher, images: dict[str, Image]) -> None:
    assert researcher.send(images["behave"].ref, "device").wait().result() == "EPERM"


def test_the_launcher_lives_on_and_nothing_is_left(
    tasks: dict[str, Task], researcher: Researcher, node: Node, images: dict[str, Image]
) -> None:
    for task in tasks.values():
        task.wait(180)
    assert researcher.send(images["behave"].ref, "sleep", 0).wait().result() == 0
    (pod,) = node.pods("launcher")
    assert [each["restartCount"] for each in pod["status"]["containerStatuses"]] == [0]

    def left() -> list[str]:
        return node.kubectl("exec", LAUNCHER, "--", "ls", "/tasks/runs", namespace=node.namespace).split()

    wait_until(lambda: not left(), 30, lambda: f"directories left: {left()}")
