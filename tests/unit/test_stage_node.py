"""The parts of the stage's node that need no cluster."""

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from ci.images import Image
from tests.stage.federation import NodeAccount, Organization
from tests.stage.kube import STAGE_LABEL, Kubectl
from tests.stage.node import Quoting, owner_of_this_process, remove_orphans, values_for


class Cluster:
    """Remembers what kubectl and helm are told; has namespaces."""

    def __init__(self, owners: dict[str, str]) -> None:
        self.owners = owners
        self.told: list[tuple[str, ...]] = []

    def get(self, kind: str, **_: str) -> list[dict[str, Any]]:
        assert kind == "namespaces"
        return [{"metadata": {"name": name, "labels": {STAGE_LABEL: owner}}} for name, owner in self.owners.items()]

    def helm(self, *arguments: str, namespace: str) -> str:
        self.told.append(("helm", *arguments, namespace))
        return ""

    def __call__(self, *arguments: str) -> str:
        self.told.append(("kubectl", *arguments))
        return ""


@pytest.fixture
def dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A process that is no more; what tidies up after it keeps its lock in a folder of the test's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    number = os.fork() or os._exit(0)
    os.waitpid(number, 0)
    return number


def test_only_what_a_dead_process_of_this_machine_left_is_removed(dead: int) -> None:
    here = socket.gethostname()[:40]
    owners = {"mine": owner_of_this_process(), "dead": f"{here}-{dead}", "elsewhere": f"other-{dead}", "demo": "demo"}
    cluster = Cluster(owners)
    assert remove_orphans(cast(Kubectl, cluster), STAGE_LABEL) == ["dead"]
    assert {words[-1] if words[0] == "helm" else words[3] for words in cluster.told} == {"dead"}


def test_two_processes_do_not_tidy_up_at_once(dead: int) -> None:
    at_it: list[int] = []

    class Slow(Cluster):
        def helm(self, *arguments: str, namespace: str) -> str:
            at_it.append(0)
            assert len(at_it) == 1
            time.sleep(0.2)
            at_it.pop()
            return super().helm(*arguments, namespace=namespace)

    cluster = cast(Kubectl, Slow({"dead": f"{socket.gethostname()[:40]}-{dead}"}))
    with ThreadPoolExecutor(2) as pool:
        removals = [pool.submit(remove_orphans, cluster, STAGE_LABEL) for _ in range(2)]
    assert [each.result() for each in removals] == [["dead"], ["dead"]]


@pytest.mark.parametrize("tag", ["12e456789012", "012345678901", "1_000", "0.1"])
def test_an_image_tag_that_looks_like_a_number_stays_text_for_helm(tag: str) -> None:
    # PyYAML reads 12e45 as text and so writes it bare; helm would read a number.
    text = yaml.dump({"tag": tag}, Dumper=Quoting)
    assert text == f"tag: '{tag}'\n"


def test_values_hold_the_server_the_key_and_the_image_in_its_parts() -> None:
    account = NodeAccount(1, "a node", "8f3cbd4c-95a8-4a10-b1ac-d9ad70d7c1a3", Organization(1, "Hospital"))
    names = {"v6-node": "localhost:5000/v6-node:abc", "v6-node-diagnostics": "localhost:5000/d:e"}
    images = {name: Image(name, ref, Path("none")) for name, ref in names.items()}
    values = values_for(account, "http://192.0.2.1", 7601, images, share_config=False)
    assert values["image"] == {"repository": "localhost:5000/v6-node", "tag": "abc", "pullPolicy": "IfNotPresent"}
    assert values["node"] == {
        "api_key": account.api_key,
        "server_url": "http://192.0.2.1",
        "port": 7601,
        "api_path": "/api",
        "policies": {"require_algorithm_pull": False},
        "share_config": False,
    }
