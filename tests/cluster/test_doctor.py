"""The doctor tells broken clusters apart, and leaves no trace of having looked; test_gate_elsewhere.py has another."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci.images import Image
from tests.cluster.examining import Findings, examine, left_by_doctors
from tests.cluster.troupe import Troupe
from tests.stage.kube import Kubectl
from tests.stage.node import owner_of_this_process, values_for
from tests.stage.waiting import wait_until

pytestmark = pytest.mark.slow  # many examinations

TRIED = ("network policies", "images", "server", "api key", "clocks", "dns", "storage")


@pytest.fixture(scope="module")
def values(troupe: Troupe, images: dict[str, Image]) -> dict[str, Any]:
    server = troupe.federation.server
    return values_for(troupe.collaboration().nodes[0], server.url, server.port, images)


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    name = f"v6-test-{secrets.token_hex(3)}"
    kubectl.create_namespace(name, owner_of_this_process())
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def test_a_good_cluster_is_good_in_all_that_is_tried(kubectl: Kubectl, values: dict[str, Any], tmp_path: Path) -> None:
    found = examine(kubectl.kubeconfig, values, tmp_path, "v6-not-there-yet")
    assert (found.code, found.failing) == (0, {})
    assert {check: found.level(check) for check in TRIED} == dict.fromkeys(TRIED, "ok")
    assert left_by_doctors(kubectl) == []


def test_a_server_that_is_not_reached(kubectl: Kubectl, values: dict[str, Any], tmp_path: Path) -> None:
    away = {**values, "node": {**values["node"], "port": 9}}  # discard: nobody listens
    found = examine(kubectl.kubeconfig, away, tmp_path, "v6-not-there-yet")
    assert found.code == 1 and found.failing.keys() == {"server"}
    assert "port 9 opened" in found.failing["server"]


def test_a_storage_class_that_is_not_there(kubectl: Kubectl, values: dict[str, Any], tmp_path: Path) -> None:
    found = examine(
        kubectl.kubeconfig, {**values, "taskVolume": {"storageClassName": "gone"}}, tmp_path, "v6-not-there-yet"
    )
    assert found.code == 1 and found.failing.keys() == {"storage"}
    assert "taskVolume.storageClassName" in found.failing["storage"]


def test_a_namespace_that_has_room_for_nothing(
    kubectl: Kubectl, values: dict[str, Any], tmp_path: Path, namespace: str
) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    kubectl.apply(quota, namespace=namespace)
    wait_until(
        lambda: bool(kubectl.get("resourcequota", "none", namespace=namespace).get("status", {}).get("hard")),
        30,
        lambda: "the quota is not looked after",
    )
    found = examine(kubectl.kubeconfig, values, tmp_path, namespace)
    assert found.code == 1 and found.failing.keys() == {"quota", "admission"}
    assert found.level("network policies") == "ok", "it is tried elsewhere"


def onlooker(kubectl: Kubectl, namespace: str, folder: Path) -> Path:
    """The kubeconfig of somebody who may look at a namespace, and at nothing else."""
    kubectl("create", "serviceaccount", "onlooker", namespace=namespace)
    role = ["--clusterrole=view", f"--serviceaccount={namespace}:onlooker"]
    kubectl("create", "rolebinding", "onlooker", *role, namespace=namespace)
    token = kubectl("create", "token", "onlooker", namespace=namespace).strip()
    config = json.loads(kubectl("config", "view", "--minify", "--raw", "--output", "json"))
    config["users"][0]["user"] = {"token": token}
    file = folder / "onlooker"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(config))
    return file


def test_somebody_who_may_only_look(kubectl: Kubectl, values: dict[str, Any], tmp_path: Path, namespace: str) -> None:
    found = examine(onlooker(kubectl, namespace, tmp_path), values, tmp_path, namespace)
    assert found.code == 1 and found.failing.keys() == {"rights"}
    assert f"kubectl create rolebinding v6-node-administrator -n {namespace}" in found.failing["rights"]
    assert found.level("network policies") == "warn"
    assert found.level("server") == "warn", "it was asked from here"


def test_nothing_stays_of_a_doctor_that_is_interrupted(
    kubectl: Kubectl, values: dict[str, Any], tmp_path: Path
) -> None:
    process = _begun(kubectl, values, tmp_path)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130
    assert left_by_doctors(kubectl) == []


def test_what_a_killed_doctor_left_the_next_one_removes(
    kubectl: Kubectl, values: dict[str, Any], tmp_path: Path
) -> None:
    process = _begun(kubectl, values, tmp_path)
    process.kill()
    process.wait(10)
    assert left_by_doctors(kubectl)
    found: Findings = examine(kubectl.kubeconfig, values, tmp_path, "v6-not-there-yet")
    assert found.code == 0
    wait_until(lambda: not left_by_doctors(kubectl), 60, lambda: f"left: {left_by_doctors(kubectl)}")


def _begun(kubectl: Kubectl, values: dict[str, Any], folder: Path) -> "subprocess.Popen[bytes]":
    """A doctor that has made pods."""
    file = folder / "values.yaml"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(values))
    command = [sys.executable, "-m", "launcher", "doctor", "-f", str(file), "-n", "v6-not-there-yet"]
    process = subprocess.Popen(command, env={**os.environ, "KUBECONFIG": str(kubectl.kubeconfig)})
    deadline = time.monotonic() + 60
    while not [name for name in left_by_doctors(kubectl) if name.endswith("-closed")]:
        assert time.monotonic() < deadline, "it made nothing"
        time.sleep(0.3)
    return process
