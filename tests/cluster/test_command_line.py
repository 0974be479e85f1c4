"""The command line from a configuration file to a node that is gone again, as an administrator uses it: one story."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from ci.images import Image
from tests.cluster.troupe import Troupe
from tests.stage.federation import NodeAccount, Researcher
from tests.stage.kube import STAGE_LABEL, Kubectl
from tests.stage.node import images_for, owner_of_this_process
from tests.stage.task import Task
from tests.stage.waiting import wait_until

pytestmark = pytest.mark.slow  # nodes that come and go


@dataclass
class Site:
    """An administrator's machine: a configuration file of vantage6, values with the images, and the command."""

    kubectl: Kubectl
    researcher: Researcher
    account: NodeAccount
    namespace: str
    folder: Path
    server: str

    def run(
        self, command: str, *arguments: str, stdin: str = "", seconds: float = 400
    ) -> "subprocess.CompletedProcess[str]":
        """Run the command for this node; what it says is in the test's report if it fails."""
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubectl.kubeconfig),
            "PATH": f"{self.kubectl.programs}{os.pathsep}{os.environ['PATH']}",
            "V6_NODE_NAMESPACE": self.namespace,
        }
        line = [sys.executable, "-m", "launcher", command, *arguments]
        done = subprocess.run(
            line, input=stdin, capture_output=True, text=True, env=environment, timeout=seconds, check=False
        )
        print(f"$ v6-node {command} {' '.join(arguments)}\n{done.stdout}{done.stderr}({done.returncode})")
        return done

    def up(self) -> "subprocess.CompletedProcess[str]":
        return self.run("up", str(self.folder / "node.yaml"), "-f", str(self.folder / "images.yaml"))

    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.run("status", "--json").stdout))

    def configure(self, **keys: Any) -> None:
        """Write what `v6 node new` would, and further keys."""
        file = self.folder / "node.yaml"
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump({**(yaml.safe_load(file.read_text()) or {}), **keys}))


@pytest.fixture(scope="module")
def site(
    troupe: Troupe, kubectl: Kubectl, images: dict[str, Image], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    collaboration = troupe.collaboration()
    account, server = collaboration.nodes[0], troupe.federation.server
    namespace = f"v6-test-{uuid.uuid4().hex[:6]}"
    folder = tmp_path_factory.mktemp("administrator")
    site = Site(kubectl, collaboration.researcher(), account, namespace, folder, server.api)
    site.configure(
        api_key=account.api_key,
        server_url=server.url,
        port=server.port,
        api_path="/api",
        databases=[{"label": "default", "uri": "/srv/nothing.csv", "type": "csv"}],
        encryption={"enabled": False, "private_key": None},
        policies={"require_algorithm_pull": False},
        # A log that is not shared stays at the site, where `logs` finds it.
        share_algorithm_logs=False,
        task_dir="/srv/tasks",
        vpn_subnet="10.76.0.0/16",
        docker_services=None,
        logging={"level": "INFO", "file": "node.log"},
    )
    (folder / "images.yaml").write_text(yaml.safe_dump({**images_for(images), "taskVolume": {"size": "1Gi"}}))
    yield site
    kubectl.helm("uninstall", "v6-node", "--ignore-not-found", "--no-hooks", namespace=namespace)
    kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


def sent(site: Site, behave: str, method: str, *args: Any) -> tuple[Task, int]:
    """A task, and the number of its run."""
    task = site.researcher.send(behave, method, *args)
    return task, int(task.run()["id"])


def test_up_brings_a_configuration_file_online_by_one_command(site: Site, kubectl: Kubectl) -> None:
    done = site.up()
    assert done.returncode == 0
    assert site.researcher.node_status(site.account) == "online"
    for key in ("vpn_subnet", "task_dir", "logging.file"):
        assert key in done.stdout, "what has no equivalent is reported, and stops nothing"
    labels = kubectl.get("namespace", site.namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    kubectl("label", "namespace", site.namespace, f"{STAGE_LABEL}={owner_of_this_process()}")


def test_status_tells_of_node_isolation_and_databases(site: Site) -> None:
    state = site.state()
    assert state["online"] and state["node_id"] == site.account.id and not state["unread"]
    assert state["isolation"]["passed"] and state["isolation"]["ways"] > 10
    assert [each["label"] for each in state["databases"]] == ["default"]
    listed = json.loads(site.run("list", "--json").stdout)
    assert site.namespace in [each["namespace"] for each in listed if each["online"]]


def test_a_run_is_seen_and_its_log_read_while_it_runs_and_afterwards(site: Site, behave: str) -> None:
    task, run = sent(site, behave, "sleep", 30)
    wait_until(
        lambda: [each["state"] for each in site.state()["runs"] if each["run"] == run] == ["running"],
        60,
        lambda: f"the run is not shown as running: {site.state()['runs']}",
    )
    wait_until(
        lambda: "sleeping 30 s" in site.run("logs", str(run)).stdout, 20, lambda: "the log of the running run is empty"
    )
    task.wait()
    wait_until(lambda: not site.state()["runs"], 60, lambda: f"still shown: {site.state()['runs']}")
    assert "sleeping 30 s" in site.run("logs", str(run)).stdout
    gone = site.run("logs", "999999")
    assert gone.returncode == 1 and "There is no log of run 999999" in gone.stderr


def launcher_starts(site: Site) -> tuple[str, int]:
    """The launcher's pod, and how often its container was restarted."""
    (pod,) = site.kubectl.get("pods", namespace=site.namespace, selector="v6-node.vantage6.ai/role=launcher")
    return pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"]


def test_a_key_is_replaced_without_a_restart_and_a_wrong_one_is_said(site: Site, behave: str) -> None:
    before = launcher_starts(site)
    wrong = site.run("set-api-key", stdin=str(uuid.uuid4()))
    assert wrong.returncode == 1 and "refuses api_key" in wrong.stderr.splitlines()[-1]
    root = site.researcher.collaboration.federation.root
    answer = requests.post(
        f"{site.server}/recover/node", json={"id": site.account.id}, headers=root.headers, timeout=10
    )
    new = answer.json()["api_key"]
    good = site.run("set-api-key", stdin=new)
    assert good.returncode == 0 and "logged in with it" in good.stdout
    assert launcher_starts(site) == before
    task, _ = sent(site, behave, "tick", "with the new key")
    assert task.wait().result()["executions"] == 1
    site.configure(api_key=new)


def test_down_keeps_the_task_volume_and_up_goes_on_with_it(site: Site, kubectl: Kubectl) -> None:
    done = site.run("down")
    assert done.returncode == 0 and "Kept: the task volume" in done.stdout
    claim = kubectl.get("pvc", "v6-node-tasks", namespace=site.namespace)["metadata"]["uid"]
    assert site.run("status").returncode == 1
    assert site.up().returncode == 0
    assert kubectl.get("pvc", "v6-node-tasks", namespace=site.namespace)["metadata"]["uid"] == claim
    assert site.researcher.node_status(site.account) == "online"


def test_a_wrong_key_in_the_file_is_the_reason_in_one_sentence_and_the_right_one_mends_it(site: Site) -> None:
    good = yaml.safe_load((site.folder / "node.yaml").read_text())["api_key"]
    site.configure(api_key=str(uuid.uuid4()))
    bad = site.up()
    assert bad.returncode == 1 and "refuses api_key" in bad.stderr.splitlines()[-1]
    site.configure(api_key=good)
    assert site.up().returncode == 0


def test_down_with_the_data_leaves_nothing_but_the_namespace_and_its_secrets(site: Site, kubectl: Kubectl) -> None:
    done = site.run("down", "--delete-data")
    assert done.returncode == 0 and "is deleted" in done.stdout
    wait_until(
        lambda: not kubectl.get("pvc,pods,networkpolicies", namespace=site.namespace),
        60,
        lambda: f"left: {kubectl.get('pvc,pods,networkpolicies', namespace=site.namespace)}",
    )
    secrets = [each["metadata"]["name"] for each in kubectl.get("secrets", namespace=site.namespace)]
    assert secrets == ["v6-node-key"]
    assert "v6-node-key" in done.stdout
