"""`v6-node status`, `list` and `logs`: what there is, also where not everything may be read."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.admin.commands import CORE, Cluster, run
from tests.unit.apiserver import kubeconfig
from tests.unit.node_objects import job, run_pod, told


def test_status_is_a_table_or_json_and_its_exit_code_says_online(cluster: Cluster):
    cluster.install()
    cluster.put("/apis/batch/v1/namespaces/v6-node/jobs", job(12, ready=1))
    cluster.put(f"{CORE}/pods", run_pod(12, {"running": {"startedAt": "2026-11-28T06:11:00Z"}}))
    done = run("status")
    assert done.exit_code == 0 and "online" in done.stdout and "average:1" in done.stdout
    read = json.loads(run("status", "--json").stdout)
    assert read["online"] and read["runs"][0]["state"] == "running" and not read["unread"]
    cluster.told = told(connection={"online": False, "reason": "The server is away."})
    done = run("status")
    assert done.exit_code == 1 and "The server is away." in done.stdout


def test_status_without_the_right_to_ask_the_launcher_shows_the_rest(cluster: Cluster):
    cluster.install()
    cluster.refuse[r"GET .*/exec"] = 403
    done = run("status", "--json")
    read = json.loads(done.stdout)
    assert "pods/exec" in read["unread"]["the launcher's own status"]
    assert read["server"] == "https://vantage6.example.org:443/api"


def test_status_watches_until_it_is_interrupted(cluster: Cluster):
    cluster.install()
    command = [sys.executable, "-m", "launcher", "status", "--watch", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout
        assert json.loads(process.stdout.readline())["online"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@pytest.mark.parametrize("name", ["", "A", "a b", "../x", "-a", "a" * 64])
def test_what_can_be_no_namespace_is_refused(name: str):
    done = run("status", "--namespace", name)
    assert done.exit_code == 2 and "is no name of a namespace" in done.stderr


def test_a_cluster_that_does_not_answer_is_one_sentence(tmp_path: Path):
    done = run("status", "--kubeconfig", kubeconfig(tmp_path, "http://127.0.0.1:9"))
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1 and "The cluster does not answer" in done.stderr


@pytest.mark.parametrize("content", [None, "", "{}", "clusters: 1", ": {"])
def test_a_kubeconfig_that_is_none_is_one_sentence(tmp_path: Path, content: str | None):
    file = tmp_path / "config"
    if content is not None:
        file.write_text(content)
    done = run("status", "--kubeconfig", file)
    assert done.exit_code == 1 and f"No cluster can be told from the kubeconfig {file}" in done.stderr


def test_list_finds_every_node_one_may_see(cluster: Cluster):
    cluster.install()
    done = run("list")
    assert done.exit_code == 0 and "v6-node" in done.stdout and not done.stderr
    cluster.refuse["GET /apis/apps/v1/statefulsets"] = 403
    cluster.put("/api/v1/namespaces", {"metadata": {"name": "v6-node"}}, {"metadata": {"name": "hidden"}})
    cluster.refuse["GET /apis/apps/v1/namespaces/hidden/statefulsets"] = 403
    done = run("list", "--json")
    assert [each["namespace"] for each in json.loads(done.stdout)] == ["v6-node"]
    assert "2 namespaces were tried, and 1 of them may not be read" in done.stderr
    cluster.refuse["GET /api/v1/namespaces"] = 403
    assert [each["namespace"] for each in json.loads(run("list", "--json").stdout)] == ["v6-node"]


def test_logs_come_from_the_pod_while_there_is_one_and_else_from_what_was_kept(cluster: Cluster):
    cluster.install()
    cluster.kept["12"] = b"kept\n"
    assert run("logs", "12").stdout == "kept\n"
    cluster.put(f"{CORE}/pods", run_pod(12, {"running": {}}))
    cluster.logs["run-12-abcde"] = b"live\n"
    assert run("logs", "12").stdout == "live\n"
    missing = run("logs", "13")
    assert missing.exit_code == 1 and "There is no log of run 13" in missing.stderr


def test_logs_of_an_algorithm_that_does_not_run_yet(cluster: Cluster):
    cluster.install()
    cluster.put(f"{CORE}/pods", run_pod(12, {"waiting": {}}))
    cluster.refuse["GET .*/run-12-abcde/log"] = 400
    done = run("logs", "12")
    assert done.exit_code == 1 and "does not run yet" in done.stderr
