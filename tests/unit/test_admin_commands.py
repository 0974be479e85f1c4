"""The commands from outside: against a stand-in for the API server, with a stand-in for helm on the PATH."""

import base64
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from launcher.__main__ import app
from launcher.admin import keys
from launcher.encryption import Encrypted
from tests.stage.waiting import wait_until
from tests.unit.apiserver import Program, Threaded, kubeconfig
from tests.unit.node_objects import CONFIG, LAUNCHER, ONLINE, PROXY, STATEFULSET, ended, job, run_pod, told, waiting
from tests.unit.programs import Programs
from tests.unit.test_admin_plan import GOOD

CORE = "/api/v1/namespaces/v6-node"
OTHER_KEY = "99999999-2222-4333-8444-555555555555"
HELM = """
case "$1" in
  status) if [ -f $FOLDER/release ]; then echo '{"info": {"status": "'$(cat $FOLDER/release)'"}}'
          else echo 'Error: release: not found' >&2; exit 1; fi;;
  upgrade) if [ -f $FOLDER/slow ]; then
             trap 'kill $!; touch $FOLDER/interrupted; exit 1' INT
             sleep 60 > /dev/null 2>&1 & touch $FOLDER/busy; wait
           fi
           cat > $FOLDER/values; if [ -f $FOLDER/refusal ]; then cat $FOLDER/refusal >&2; exit 1; fi
           echo deployed > $FOLDER/release;;
  get) cat $FOLDER/manifest;;
  uninstall) rm $FOLDER/release;;
esac
"""


class Cluster(Threaded):
    """A cluster whose launcher answers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.told: Any = ONLINE
        self.kept: dict[str, bytes] = {}
        self.program = self._launcher

    def _launcher(self, command: list[str]) -> tuple[bytes, str]:
        if command[3] == "status":
            return json.dumps(self.told).encode(), ""
        kept = self.kept.get(command[5])
        return (kept or b"", "" if kept else "exit")

    def install(self, launcher: Any = LAUNCHER) -> None:
        """What helm would bring."""
        self.put("/apis/apps/v1/namespaces/v6-node/statefulsets", STATEFULSET)
        self.put(f"{CORE}/pods", launcher, PROXY)
        self.put(f"{CORE}/configmaps", CONFIG)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    programs = Programs(tmp_path / "bin")
    programs.add("helm", HELM.replace("$FOLDER", str(tmp_path)))
    programs.put_first(monkeypatch)
    for module in ("up._LOOK_EVERY", "keys._LOOK_EVERY"):
        monkeypatch.setattr(f"launcher.admin.{module}", 0.05)
    with Cluster(tmp_path) as cluster:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
        yield cluster


def run(*arguments: Any, stdin: str = "") -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], input=stdin, env={"COLUMNS": "200"})


def configuration(folder: Path, **more: Any) -> Path:
    file = folder / "node.yaml"
    file.write_text(yaml.safe_dump(GOOD | more))
    return file


def helm_calls(folder: Path) -> list[str]:
    return (folder / "bin" / "calls").read_text().splitlines()


# up


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


# down

VOLUME = {
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "v6-node-tasks"},
    "status": {"capacity": {"storage": "10Gi"}},
}


def test_down_keeps_the_task_volume_and_says_what_stays(cluster: Cluster, tmp_path: Path):
    (tmp_path / "release").write_text("deployed")
    (tmp_path / "manifest").write_text(yaml.safe_dump({**VOLUME, "metadata": {"name": "v6-node-tasks"}}))
    cluster.put(f"{CORE}/persistentvolumeclaims", dict(VOLUME, metadata={"name": "v6-node-tasks"}))
    cluster.put(f"{CORE}/secrets", {"metadata": {"name": "v6-node-key"}, "type": "Opaque"})
    done = run("down")
    assert done.exit_code == 0, done.output
    calls = helm_calls(tmp_path)
    assert [line.split()[1] for line in calls] == ["status", "get", "upgrade", "uninstall"]
    assert "--reuse-values --set taskVolume.keep=true" in calls[2]
    assert f"{CORE}/persistentvolumeclaims/v6-node-tasks" in cluster.objects
    assert "claim v6-node-tasks, 10Gi" in done.stdout and "v6-node-key" in done.stdout and "namespace" in done.stdout


def test_down_leaves_a_release_that_keeps_the_volume_as_it_is(cluster: Cluster, tmp_path: Path):
    (tmp_path / "release").write_text("deployed")
    annotated = {"name": "v6-node-tasks", "annotations": {"helm.sh/resource-policy": "keep"}}
    (tmp_path / "manifest").write_text(yaml.safe_dump({**VOLUME, "metadata": annotated}))
    assert run("down").exit_code == 0
    assert [line.split()[1] for line in helm_calls(tmp_path)] == ["status", "get", "uninstall"]


def test_down_deletes_the_volume_if_asked_also_when_the_node_is_gone_already(cluster: Cluster, tmp_path: Path):
    cluster.put(f"{CORE}/persistentvolumeclaims", dict(VOLUME, metadata={"name": "v6-node-tasks"}))
    done = run("down", "--delete-data")
    assert done.exit_code == 0 and "is deleted" in done.stdout
    assert not cluster.objects
    again = run("down", "--delete-data")
    assert again.exit_code == 1 and "There is no node in namespace v6-node" in again.stderr


# status, list, logs


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


# create-private-key, set-api-key


@pytest.fixture
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "new_private_key", lambda: "-----BEGIN RSA PRIVATE KEY-----\n")


def test_a_new_private_key_is_one_that_vantage6_and_the_node_take(tmp_path: Path):
    file = tmp_path / "key.pem"
    keys.write_private_key(file, keys.new_private_key())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Encrypted(file).public_key


@pytest.mark.usefixtures("quick_keys")
def test_a_private_key_is_never_overwritten(cluster: Cluster, tmp_path: Path):
    file = tmp_path / "key.pem"
    assert run("create-private-key", "-o", file, "--secret", "v6-org-key").exit_code == 0
    assert "private_key.pem" in cluster.objects[f"{CORE}/secrets/v6-org-key"]["data"]
    again = run("create-private-key", "-o", file)
    assert again.exit_code == 1 and f"{file} is there already" in again.stderr
    in_secret = run("create-private-key", "--secret", "v6-org-key")
    assert in_secret.exit_code == 1 and "Secret v6-org-key" in in_secret.stderr


def trying(refusal: str, before: str = "An earlier key is refused.") -> Program:
    """A launcher that tries a changed key after a while; it had tried another before."""
    asked: list[int] = []

    def launcher(_: list[str]) -> tuple[bytes, str]:
        asked.append(1)
        tried = len(asked) > 2
        at = ONLINE["connection"]["key_tried"] + (60 if tried else 0)
        now = told(connection={"key_tried": at, "key_refused": refusal if tried else before})
        return json.dumps(now).encode(), ""

    return launcher


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_key_is_written_and_waited_for_until_the_launcher_has_it(cluster: Cluster):
    cluster.install()
    cluster.put(f"{CORE}/secrets", {"metadata": {"name": "v6-node-key"}, "data": {"api_key": encoded(GOOD["api_key"])}})
    cluster.program = trying("")
    done = run("set-api-key", stdin=f" {OTHER_KEY}\n")
    assert done.exit_code == 0, done.output
    assert cluster.objects[f"{CORE}/secrets/v6-node-key"]["data"]["api_key"] == encoded(OTHER_KEY)
    assert "logged in with it" in done.stdout and OTHER_KEY not in done.output
    # kubelet looks at a pod's Secrets when an annotation changes
    assert (
        "v6-node.vantage6.ai/api-key-set"
        in cluster.objects[f"{CORE}/pods/v6-node-launcher-0"]["metadata"]["annotations"]
    )
    assert "has that key already" in run("set-api-key", stdin=OTHER_KEY).stdout


def test_a_key_that_the_server_refuses_is_said(cluster: Cluster):
    cluster.install()
    cluster.program = trying("The server refuses api_key (no).")
    done = run("set-api-key", stdin=OTHER_KEY)
    assert done.exit_code == 1 and done.stderr.splitlines()[-1] == "The server refuses api_key (no)."


def test_a_launcher_that_does_not_run_is_started_anew(cluster: Cluster):
    cluster.install(waiting(LAUNCHER, "CrashLoopBackOff", ""))
    cluster.program = lambda _: (
        (b"", "no container")
        if f"{CORE}/pods/v6-node-launcher-0" in cluster.objects
        else (json.dumps(ONLINE).encode(), "")
    )
    assert run("set-api-key", stdin=OTHER_KEY).exit_code == 0


def test_a_secret_of_helms_will_be_set_back_and_that_is_said(cluster: Cluster):
    cluster.put("/api/v1/namespaces", {"metadata": {"name": "v6-node"}})
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    cluster.put(f"{CORE}/secrets", {"metadata": {"name": "v6-node-key", "labels": labels}, "data": {}})
    done = run("set-api-key", stdin=OTHER_KEY)
    assert done.exit_code == 0 and "helm upgrade" in done.stderr


@pytest.mark.parametrize("text", ["", "no key", OTHER_KEY + "x"])
def test_what_is_no_key_is_not_written(cluster: Cluster, text: str):
    done = run("set-api-key", stdin=text)
    assert done.exit_code == 1 and "UUID" in done.stderr and not cluster.objects
