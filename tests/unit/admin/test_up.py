"""`v6-node up`: from a configuration file to a node that is online, or a sentence on why it is not."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.stage.waiting import wait_until
from tests.unit.admin.commands import CORE, OTHER_KEY, Cluster, configuration, helm_calls, run, trying
from tests.unit.node_objects import LAUNCHER, ended, told, waiting
from tests.unit.test_admin_plan import GOOD


def test_up_brings_a_configuration_file_online(cluster: Cluster, tmp_path: Path):
    cluster.install()
    done = run("up", configuration(tmp_path, vpn_subnet="10.76.0.0/16"))
    assert done.exit_code == 0, done.output
    namespace = cluster.objects["/api/v1/namespaces/v6-node"]
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    assert cluster.objects[f"{CORE}/secrets/v6-node-key"]["data"]["api_key"]
    values = json.loads((tmp_path / "values").read_text())
    assert values["existingSecret"] == "v6-node-key" and values["taskVolume"]["keep"] is True
    assert GOOD["api_key"] not in (tmp_path / "values").read_text() + done.output
    assert "vpn_subnet" in done.stdout and "is online" in done.stdout and "v6-node status -n v6-node" in done.stdout


def test_up_gives_helm_further_values_and_the_cluster_it_was_given(cluster: Cluster, tmp_path: Path):
    cluster.install()
    (tmp_path / "more.yaml").write_text("taskVolume: {size: 1Gi}\n")
    file = configuration(tmp_path)
    arguments = ("--values", tmp_path / "more.yaml", "--kubeconfig", cluster.kubeconfig, "--context", "here")
    assert run("up", file, *arguments).exit_code == 0
    (call,) = [line for line in helm_calls(tmp_path) if line.startswith("helm upgrade")]
    assert f"--values - --values {tmp_path}/more.yaml --namespace v6-node --kube-context here" in call
    assert f"--kubeconfig {cluster.kubeconfig}" in call


def test_what_has_to_be_filled_in_is_said_before_anything_is_made(cluster: Cluster, tmp_path: Path):
    done = run("up", configuration(tmp_path, server_url="https://localhost"))
    assert done.exit_code == 1
    assert "server_url" in done.stderr
    assert not cluster.objects and not (tmp_path / "values").exists()


def test_a_key_that_the_server_refuses_is_the_reason_at_once_and_the_next_up_mends_it(cluster: Cluster, tmp_path: Path):
    sentence = "The server at https://a.org/api refuses api_key (no); give the key that it showed."
    crashed = waiting(LAUNCHER, "CrashLoopBackOff", "", ended({"level": "CRITICAL", "event": sentence}))
    cluster.install(crashed)
    cluster.on_delete = lambda _: cluster.put(f"{CORE}/pods", crashed)
    began = time.monotonic()
    done = run("up", configuration(tmp_path))
    assert done.exit_code == 1 and time.monotonic() - began < 30
    assert done.stderr.splitlines()[-1] == f"The node is installed, but not online: {sentence}"
    cluster.on_delete = lambda _: cluster.put(f"{CORE}/pods", LAUNCHER)
    assert run("up", configuration(tmp_path, api_key=OTHER_KEY)).exit_code == 0


def test_a_launcher_that_keeps_ending_gets_another_try_at_once(cluster: Cluster, tmp_path: Path):
    """What kept it may be mended at the server, of which the cluster knows nothing."""
    cluster.install(waiting(LAUNCHER, "CrashLoopBackOff", "", ended({"level": "CRITICAL", "event": "not encrypted."})))
    cluster.on_delete = lambda _: cluster.put(f"{CORE}/pods", LAUNCHER)
    assert run("up", configuration(tmp_path)).exit_code == 0


def test_another_key_is_waited_for_until_the_launcher_has_it(cluster: Cluster, tmp_path: Path):
    cluster.install()
    assert run("up", configuration(tmp_path)).exit_code == 0
    cluster.program = trying("The server refuses api_key (no).")
    done = run("up", configuration(tmp_path, api_key=OTHER_KEY))
    assert done.exit_code == 1 and done.stderr.splitlines()[-1] == "The server refuses api_key (no)."


def test_a_node_that_takes_too_long_says_how_far_it_is(cluster: Cluster, tmp_path: Path):
    cluster.install()
    cluster.told = told(connection={"online": False}, isolation={"open": False, "checked_at": None})
    done = run("up", configuration(tmp_path), "--wait", "0.5")
    assert done.exit_code == 1
    assert "not online yet (the isolation of algorithms is checked)" in done.stderr.splitlines()[-1]


def test_an_installation_that_was_interrupted_does_not_bar_the_next(cluster: Cluster, tmp_path: Path):
    cluster.install()
    (tmp_path / "release").write_text("pending-install")
    labels = {"owner": "helm", "name": "v6-node", "status": "pending-install"}
    cluster.put(f"{CORE}/secrets", {"metadata": {"name": "sh.helm.release.v1.v6-node.v1", "labels": labels}})
    done = run("up", configuration(tmp_path))
    assert done.exit_code == 0, done.output
    assert not [name for name in cluster.objects if "sh.helm.release" in name]


def test_what_the_chart_refuses_is_said_in_its_own_words(cluster: Cluster, tmp_path: Path):
    (tmp_path / "refusal").write_text(
        "Error: execution error at (v6-node/templates/launcher/statefulset.yaml:25:28): \nnode.port 0 is no port; "
        "write another.\n\n\nUse --debug flag to render out invalid YAML\n"
    )
    done = run("up", configuration(tmp_path))
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "The chart refuses the values: node.port 0 is no port; write another."


def test_helm_is_told_of_an_interruption_and_is_waited_for(cluster: Cluster, tmp_path: Path):
    (tmp_path / "slow").touch()
    command = [sys.executable, "-m", "launcher", "up", str(configuration(tmp_path))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        wait_until((tmp_path / "busy").exists, 60, lambda: "helm was not started")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr and process.stderr.read().splitlines()[-1] == "Interrupted."
    assert (tmp_path / "interrupted").exists()


def test_without_helm_it_says_where_to_get_it(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    done = run("up", configuration(tmp_path))
    assert done.exit_code == 1 and "https://helm.sh" in done.stderr and not cluster.objects


def test_a_namespace_that_is_on_its_way_out_is_waited_for_by_a_person(cluster: Cluster, tmp_path: Path):
    cluster.put("/api/v1/namespaces", {"metadata": {"name": "v6-node", "deletionTimestamp": "2026-11-28T06:00:00Z"}})
    done = run("up", configuration(tmp_path))
    assert done.exit_code == 1 and "is being deleted; wait" in done.stderr.splitlines()[-1]


def test_what_is_not_allowed_is_one_sentence(cluster: Cluster, tmp_path: Path):
    cluster.refuse["POST /api/v1/namespaces"] = 403
    done = run("up", configuration(tmp_path))
    assert done.exit_code == 1
    assert "The cluster does not allow it: POST /api/v1/namespaces is refused" in done.stderr.splitlines()[-1]


def test_files_on_the_only_machine_need_no_further_word(cluster: Cluster, tmp_path: Path):
    cluster.install()
    cluster.put("/api/v1/nodes", {"metadata": {"name": "m", "labels": {"kubernetes.io/hostname": "m"}}})
    database = {"label": "default", "type": "csv", "uri": "/srv/a.csv"}
    assert run("up", configuration(tmp_path, databases=[database])).exit_code == 0
    assert json.loads((tmp_path / "values").read_text())["node"]["databases"][0]["nodeName"] == "m"


@pytest.mark.parametrize("content", ["- a list\n", "{", None])
def test_further_values_that_are_none_are_named(cluster: Cluster, tmp_path: Path, content: str | None):
    if content:
        (tmp_path / "more.yaml").write_text(content)
    done = run("up", configuration(tmp_path), "-f", tmp_path / "more.yaml")
    assert done.exit_code == 1 and str(tmp_path / "more.yaml") in done.stderr
