"""The doctor from outside: what it says of five broken clusters, with which remedy, and that it leaves no trace."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from launcher.__main__ import app
from launcher.doctor.probes import CLOSED, FREE, HOLDER, OPEN, SHUT, VOLUME
from launcher.doctor.traces import left_over
from launcher.doctor.trial import _ROUND
from tests.stage.waiting import wait_until
from tests.unit.doctor_cluster import KEY, VALUES, Examined

PENDING = {"waiting": {"reason": "ContainerCreating"}}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Examined]:
    monkeypatch.setattr("launcher.doctor.trial._LOOK_EVERY", 0.05)
    monkeypatch.setattr("launcher.admin.progress._SOON", 0.1)
    monkeypatch.setattr("launcher.doctor.tried._TRIED_AGAIN", 0.1)
    (tmp_path / "values.yaml").write_text(VALUES)
    with Examined(tmp_path) as cluster:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
        yield cluster


def doctor(folder: Path, *arguments: str) -> tuple[Result, dict[str, list[dict[str, Any]]]]:
    """Run it; the findings by check."""
    done = CliRunner().invoke(app, ["doctor", "-f", str(folder / "values.yaml"), "--json", *arguments])
    found: dict[str, list[dict[str, Any]]] = {}
    for each in json.loads(done.stdout):
        found.setdefault(each["check"], []).append(each)
    return done, found


def worst(findings: dict[str, list[dict[str, Any]]], level: str = "fail") -> dict[str, str]:
    """What is so bad, by check."""
    return {
        check: f"{each['sentence']} {each['remedy']}"
        for check, those in findings.items()
        for each in those
        if each["level"] == level
    }


def test_a_good_cluster_is_well_in_every_respect_and_nothing_stays(cluster: Examined, tmp_path: Path):
    done, found = doctor(tmp_path)
    assert done.exit_code == 0
    assert worst(found) == {} and worst(found, "warn") == {}
    assert found.keys() == {
        *("kubernetes", "rights", "pod security", "storage", "runtimes", "gpus", "quota", "dns"),
        *("network policies", "images", "server", "api key", "clocks"),
    }
    assert cluster.traces == []
    made = [path for method, path, _ in cluster.asked if method == "POST" and not path.endswith("reviews")]
    assert len([path for path in made if path.endswith("/jobs")]) == 5
    assert not [path for path in made if path.endswith("/pods")], "bare pods may get no policies"
    assert KEY not in done.output


def test_it_reads_well_on_a_terminal(cluster: Examined, tmp_path: Path):
    cluster.enforces = False
    done = CliRunner().invoke(app, ["doctor", "-f", str(tmp_path / "values.yaml")])
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert all(re.match(r"(ok   |warn |fail )[a-z]", line) for line in lines)
    (line,) = [line for line in lines if line.startswith("fail ")]
    assert "NetworkPolicies are not enforced" in line and "→ install a network plugin" in line


# Five broken clusters


def test_one_that_does_not_enforce_policies(cluster: Examined, tmp_path: Path):
    cluster.enforces = False
    done, found = doctor(tmp_path)
    assert done.exit_code == 1
    assert worst(found).keys() == {"network policies"}
    assert "Cilium or Calico" in worst(found)["network policies"]


def test_one_without_a_storage_class(cluster: Examined, tmp_path: Path):
    del cluster.objects[f"{cluster.classes}/local-path"]
    done, found = doctor(tmp_path)
    assert done.exit_code == 1
    assert worst(found).keys() == {"storage"}
    assert "no default StorageClass" in worst(found)["storage"]
    assert "install a provisioner" in worst(found)["storage"]


def test_one_in_which_rights_are_missing(cluster: Examined, tmp_path: Path):
    cluster.not_allowed |= {f"create {kind}" for kind in ("namespaces", "roles", "rolebindings", "pods")}
    cluster.put("/api/v1/namespaces", {"metadata": {"name": "v6-node"}})
    cluster.refuse["POST .*/(pods|secrets)"] = 403
    cluster.refuse["GET .*/secrets"] = 403
    done, found = doctor(tmp_path)
    assert done.exit_code == 1
    assert worst(found).keys() >= {"rights"}
    assert "create roles.rbac" in worst(found)["rights"] and "kubectl create rolebinding" in worst(found)["rights"]
    assert "network policies" in worst(found, "warn")
    assert "traces" not in found, "nothing was made, so nothing is left"


def test_one_whose_namespace_is_restricted(cluster: Examined, tmp_path: Path):
    cluster.put("/api/v1/namespaces", {"metadata": {"name": "v6-node"}})
    cluster.put(
        "/api/v1/namespaces/v6-node/resourcequotas",
        {"metadata": {"name": "small"}, "spec": {"hard": {"pods": "1"}}, "status": {"hard": {"pods": "1"}}},
    )
    cluster.refuse["POST /api/v1/namespaces/v6-node/pods"] = 403
    done, found = doctor(tmp_path)
    assert done.exit_code == 1
    assert worst(found).keys() == {"quota", "admission"}
    assert "pods: 3 needed, 1 left" in worst(found)["quota"] and "have it raised" in worst(found)["quota"]


def test_one_from_which_the_server_is_not_reached(cluster: Examined, tmp_path: Path):
    cluster.server = {"error": "timed out", "kind": "TimeoutError"}
    done, found = doctor(tmp_path)
    assert done.exit_code == 1
    assert worst(found).keys() == {"server"}
    assert "vantage6.example.org port 443 opened" in worst(found)["server"]


# What else may be


def test_an_image_that_cannot_be_pulled_leaves_the_rest_to_be_said(cluster: Examined, tmp_path: Path):
    cluster.stuck = {
        part: {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
        for part in (OPEN, CLOSED, SHUT, VOLUME)
    }
    done, found = doctor(tmp_path)
    assert done.exit_code == 1
    assert worst(found).keys() == {"images"} and "isolation.image" in worst(found)["images"]
    assert "could not be tried" in worst(found, "warn")["network policies"]
    assert found["server"][0]["level"] == "ok"
    assert cluster.traces == []


def test_where_no_pod_runs_the_server_is_asked_from_here_and_that_is_said(
    cluster: Examined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("launcher.doctor.inside.ask", lambda *_: {"status": 200, "version": "4.15.2"})
    cluster.refuse["POST /api/v1/namespaces"] = 403
    _, found = doctor(tmp_path)
    assert "answers this machine" in worst(found, "warn")["server"]
    assert "POST /api/v1/namespaces is refused" in worst(found, "warn")["network policies"]


def test_without_values_it_says_what_was_not_asked(cluster: Examined):
    done = CliRunner().invoke(app, ["doctor", "--json"])
    found = {each["check"]: each for each in json.loads(done.stdout)}
    assert done.exit_code == 0
    assert "-f" in found["server"]["remedy"]


def test_the_key_of_a_secret_is_tried_too(cluster: Examined, tmp_path: Path):
    (tmp_path / "values.yaml").write_text("node: {server_url: 'https://a.org'}\nexistingSecret: mine\n")
    _, found = doctor(tmp_path)
    assert "There is no Secret mine" in worst(found)["api key"]
    cluster.put("/api/v1/namespaces/v6-node/secrets", {"metadata": {"name": "mine"}, "stringData": {"api_key": KEY}})
    _, found = doctor(tmp_path)
    assert [each["level"] for each in found["api key"]] == ["ok"]


def test_a_volume_that_would_stay_is_not_made(cluster: Examined, tmp_path: Path):
    cluster.objects[f"{cluster.classes}/local-path"]["reclaimPolicy"] = "Retain"
    done, _ = doctor(tmp_path)
    assert done.exit_code == 0
    assert not [path for _, path, _ in cluster.asked if path.endswith("persistentvolumeclaims") and _ == "POST"]


def test_a_pod_that_is_not_admitted_is_told_with_the_words_of_the_event(cluster: Examined, tmp_path: Path):
    """The API server takes the Job; its controller is told why there is no pod, and records it."""
    words = 'pods "x" is forbidden: exceeded quota: none'
    cluster.not_admitted = {VOLUME: words, SHUT: words}
    done, found = doctor(tmp_path)
    assert done.exit_code == 1 and worst(found).keys() == {"storage"}
    assert f"Its pod can't be made: {words}." in worst(found)["storage"]
    assert words in worst(found, "warn")["network policies"]
    assert cluster.traces == []


def test_a_listener_that_ends_is_not_waited_for(cluster: Examined, tmp_path: Path):
    cluster.stuck = {OPEN: {"terminated": {"exitCode": 127, "reason": "StartError"}}}
    began = time.monotonic()
    doctor(tmp_path)
    assert time.monotonic() - began < _ROUND / 2


def test_a_volume_that_is_refused_leaves_the_rest_to_be_said(cluster: Examined, tmp_path: Path):
    cluster.refuse["POST .*/persistentvolumeclaims"] = 403
    done, found = doctor(tmp_path)
    assert done.exit_code == 1 and worst(found).keys() == {"storage"}
    assert "does not come" in worst(found)["storage"]
    assert cluster.traces == []


def test_what_may_not_be_read_is_said_and_the_rest_is_done(cluster: Examined, tmp_path: Path):
    for kind in ("nodes", "storageclasses", "runtimeclasses", "namespaces"):
        cluster.refuse[f"GET /.*/{kind}"] = 403
    done, found = doctor(tmp_path)
    assert done.exit_code == 0
    assert worst(found, "warn").keys() >= {"gpus", "storage", "runtimes", "dns"}
    assert found["network policies"][0]["level"] == "ok"


# No trace


def examining(cluster: Examined, folder: Path) -> "subprocess.Popen[str]":
    """A doctor that waits for a pod."""
    cluster.stuck = {FREE: PENDING}
    command = [sys.executable, "-m", "launcher", "doctor", "-f", str(folder / "values.yaml")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    wait_until(lambda: any(path.endswith("-free") for path in cluster.traces), 90, lambda: "it made no pods")
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_stays_of_one_that_is_interrupted(cluster: Examined, tmp_path: Path, number: signal.Signals):
    with examining(cluster, tmp_path) as process:
        process.send_signal(number)
        assert process.wait(30) == 130
        assert process.stderr and process.stderr.read().splitlines()[-1] == "Interrupted."
    assert cluster.traces == []


def test_what_one_left_that_was_killed_the_next_one_removes(cluster: Examined, tmp_path: Path):
    with examining(cluster, tmp_path) as process:
        process.kill()
    assert cluster.traces
    cluster.stuck = {}
    assert doctor(tmp_path)[0].exit_code == 0
    assert cluster.traces == []


def test_what_could_not_be_removed_is_said_and_so_is_what_was_found(cluster: Examined, tmp_path: Path):
    cluster.refuse["DELETE .*/v6-node-doctor-.*"] = 403
    done, found = doctor(tmp_path)
    assert done.exit_code == 0
    assert "could be removed" in worst(found, "warn")["traces"]
    assert found["network policies"][0]["level"] == "ok"
    del cluster.refuse["DELETE .*/v6-node-doctor-.*"]
    doctor(tmp_path)
    assert cluster.traces == []


def test_in_the_nodes_own_namespace_only_its_own_things_are_removed(cluster: Examined, tmp_path: Path):
    cluster.not_allowed.add("create namespaces")
    cluster.put("/api/v1/namespaces", {"metadata": {"name": "v6-node"}})
    cluster.put("/api/v1/namespaces/v6-node/secrets", {"metadata": {"name": "mine"}})
    cluster.before = set(cluster.objects)
    done, found = doctor(tmp_path)
    assert done.exit_code == 0 and found["network policies"][0]["level"] == "ok"
    assert cluster.traces == [] and cluster.before <= set(cluster.objects)


def test_a_namespace_with_policies_is_left_alone(cluster: Examined, tmp_path: Path):
    cluster.not_allowed.add("create namespaces")
    cluster.put("/api/v1/namespaces", {"metadata": {"name": "v6-node"}})
    cluster.put("/apis/networking.k8s.io/v1/namespaces/v6-node/networkpolicies", {"metadata": {"name": "deny"}})
    _, found = doctor(tmp_path)
    assert "NetworkPolicies already" in worst(found, "warn")["network policies"]
    made = [(path, body) for method, path, body in cluster.asked if method == "POST" and not path.endswith("reviews")]
    [(path, pod)] = made
    assert path.endswith("/v6-node/pods") and pod["metadata"]["name"].startswith("v6-node-doctor-rehearsal-open")


@pytest.mark.parametrize(
    ("whose", "age", "gone"),
    [
        ("here/1", 0, False),  # runs
        ("here/2", 0, True),  # ran
        ("here/3", 0, True),  # it is us
        ("there/1", 60, False),
        ("there/1", 3600, True),
        ("", 60, False),
        ("", 3600, True),
    ],
)
def test_what_is_left_over(whose: str, age: float, gone: bool):
    meta = {"annotations": {HOLDER: whose} if whose else None, "creationTimestamp": "2026-11-28T06:00:00Z"}
    now = 1795845600 + age
    assert left_over(meta, "here/3", lambda process: process == 1, now) is gone
