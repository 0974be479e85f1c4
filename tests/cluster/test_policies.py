"""Who may run what, and that what was approved is what runs: with a registry that containerd pulls from."""

from typing import Any

import pytest

from ci.images import Image
from tests.cluster.troupe import Troupe
from tests.stage.federation import Collaboration
from tests.stage.node import Node
from tests.stage.registry import LOGIN, Registry
from tests.stage.task import Task
from tests.stage.waiting import wait_until


def started(troupe: Troupe, collaboration: Collaboration, **policies: Any) -> Node:
    """A node that shares nothing, or the server itself would refuse the tasks."""
    policies = {"require_algorithm_pull": False, **policies}
    return troupe.node(collaboration, share_config=False, policies=policies).start()


def asking(troupe: Troupe, registry: Registry, **node: Any) -> Node:
    """A node that asks the registry for digests."""
    made = troupe.node(troupe.collaboration(), **{"policies": {}, **node})
    made.values["jobs"] = {"registries": {"endpoints": {registry.host: registry.url}}}
    made.values["admissionPolicy"] = {"enabled": True}  # it lets through what the launcher makes of a decision
    made.values["network"] = {"registries": {"ports": [int(registry.host.rpartition(":")[2])]}}
    return made.start()


def refused(node: Node, task: Task, policy: str) -> None:
    """It ended as not allowed, with the policy's name, an audit line, and no Job."""
    run = task.wait().run()
    assert run["status"] == "not allowed"
    assert policy in run["log"]
    assert run["finished_at"]
    assert audited(node, run["id"])["policy"] == policy
    assert f"run-{run['id']}" not in [job["metadata"]["name"] for job in node.jobs()]


def audited(node: Node, run_id: int) -> dict[str, Any]:
    def lines() -> list[dict[str, Any]]:
        events = node.launcher_events()
        return [each for each in events if each["logger"] == "launcher.audit" and each["run"] == run_id]

    wait_until(lambda: len(lines()) > 0, 10, lambda: f"no audit line for run {run_id}")
    (line,) = lines()
    return line


@pytest.mark.contract("§8 allowed_algorithms")
@pytest.mark.contract("§8 not allowed")
def test_an_image_is_allowed_by_a_pattern_and_others_are_not(troupe: Troupe, images: dict[str, Image]) -> None:
    node = started(troupe, troupe.collaboration(), allowed_algorithms=[r"^localhost/b[a-z]+:[0-9a-f]+$"])
    researcher = node.collaboration.researcher()
    allowed = researcher.send(images["behave"].ref, "sleep", 0).wait()
    assert allowed.result() == 0
    line = audited(node, allowed.run()["id"])
    assert (line["policy"], line["status"], line["image"]) == ("allowed_algorithms", "completed", images["behave"].ref)
    assert line["digest"].startswith("sha256:")
    assert line["result_bytes"] == len("0")
    refused(node, researcher.send(images["average"].ref, "sleep", 0), "allowed_algorithms")


@pytest.mark.contract("§8 allowed_users and allowed_organizations")
@pytest.mark.contract("§8 not allowed")
def test_users_and_organizations(troupe: Troupe, images: dict[str, Image]) -> None:
    collaboration = troupe.collaboration(3)
    home, friend, stranger = (account.organization for account in collaboration.nodes)
    user = collaboration.researcher(stranger)
    number = user.client.whoami.id_
    node = started(troupe, collaboration, allowed_users=[number], allowed_organizations=[friend.name, str(home.id)])
    for sender in (user, collaboration.researcher(home), collaboration.researcher(friend)):
        assert sender.send(images["behave"].ref, "sleep", 0, to=[home]).wait().result() == 0
    task = collaboration.researcher(stranger).send(images["behave"].ref, "sleep", 0, to=[home])
    refused(node, task, "allowed_users and allowed_organizations")


@pytest.mark.contract("§8 require_algorithm_pull")
def test_the_digest_that_was_approved_runs_though_the_tag_was_moved(
    troupe: Troupe, registry: Registry, images: dict[str, Image]
) -> None:
    behave = registry.push(images["behave"].tar)
    average = registry.push(images["average"].tar)
    registry.tag("team/moving:1", behave, average)  # from the second look on it means another image
    node = asking(troupe, registry)
    task = node.collaboration.researcher().send(f"{registry.host}/team/moving:1", "sleep", 0).wait()
    assert task.result() == 0, "only the algorithm `behave` has this function"
    assert [path for _, path, _ in registry.asked("team/moving") if path.endswith("/1")] == ["team/moving/manifests/1"]
    line = audited(node, task.run()["id"])
    assert (line["digest"], line["image"]) == (behave, f"{registry.host}/team/moving:1")
    missing = node.collaboration.researcher().send(f"{registry.host}/team/nothing:1", "sleep", 0).wait().run()
    assert missing["status"] == "non-existing Docker image"
    assert "there is no such thing here" in missing["log"]


@pytest.mark.contract("§14 docker_registries")
def test_a_private_image_needs_the_nodes_login(troupe: Troupe, registry: Registry, images: dict[str, Image]) -> None:
    registry.push(images["behave"].tar, "private/behave:1")
    image = f"{registry.host}/private/behave:1"
    without = asking(troupe, registry)
    run = without.collaboration.researcher().send(image, "sleep", 0).wait().run()
    assert run["status"] == "non-existing Docker image"
    assert "the node has no login for it" in run["log"]
    login = {"registry": registry.host, "username": LOGIN[0], "password": LOGIN[1]}
    node = asking(troupe, registry, docker_registries=[login])
    assert node.collaboration.researcher().send(image, "sleep", 0).wait(180).result() == 0
    pulled = [each for each in registry.asked("private/behave") if "/blobs/" in each[1] or "sha256:" in each[1]]
    assert pulled
    assert pulled[-1][2] == "with a login"
    assert LOGIN[1] not in node.launcher_log()
    config = node.kubectl.get("configmap", "v6-node-config", namespace=node.namespace)
    assert LOGIN[1] not in str(config)
