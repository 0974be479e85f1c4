"""The machine that there is none of, and the open runs that nobody sent."""

import sqlite3
import ssl
from ipaddress import IPv4Address
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from cryptography import x509

from benchmarks import fakenode
from benchmarks.fakenode import ENDS, FakeNode, configuration, issue_certificate, machine
from benchmarks.openruns import write_runs
from ci.cluster.certificates import Authority
from tests.unit.test_layout import rendered
from tests.unit.test_taskfiles import RUN

SCHEMA = """
CREATE TABLE node (id INTEGER PRIMARY KEY, organization_id, collaboration_id);
CREATE TABLE task (id INTEGER PRIMARY KEY, name, image, job_id, collaboration_id);
CREATE TABLE run (
    id INTEGER PRIMARY KEY, task_id, organization_id, status, started_at, finished_at, result, log, input
);
INSERT INTO node VALUES (3, 30, 300), (4, 40, 300);
INSERT INTO task VALUES (5, 'ours', 'i', 50, 300), (6, 'theirs', 'i', 51, 300);
INSERT INTO run VALUES (7, 5, 30, 'completed', 'then', 'then', 'x', 'y', 'z');
INSERT INTO run VALUES (9, 6, 40, 'active', 'then', NULL, '', '', '');
"""


def test_written_runs_are_open_each_with_a_task_and_a_job_of_its_own(tmp_path: Path) -> None:
    database = tmp_path / "server.sqlite"
    with sqlite3.connect(database) as connection:
        connection.executescript(SCHEMA)
    write_runs(database, 3, 2)
    write_runs(database, 3, 1)
    with sqlite3.connect(database) as connection:
        tasks = connection.execute("SELECT * FROM task WHERE id > 6").fetchall()
        runs = connection.execute("SELECT * FROM run WHERE id > 9").fetchall()
    assert tasks == [(7, "ours", "i", 52, 300), (8, "ours", "i", 53, 300), (9, "ours", "i", 54, 300)]
    assert runs == [
        (id_, task, 30, "pending", None, None, None, None, "z") for id_, task in ((10, 7), (11, 8), (12, 9))
    ]


def test_kwok_is_told_of_a_beginning_an_end_and_a_departure(tmp_path: Path) -> None:
    ready, starts, ends, goes, logs = yaml.safe_load_all(configuration(tmp_path / "log", IPv4Address("192.0.2.9")))
    assert [each["metadata"]["name"] for each in (ready, starts, ends, goes)] == ["is-ready", "starts", "ends", "goes"]
    assert [each["spec"]["resourceRef"]["kind"] for each in (ready, starts, ends, goes)] == [
        "Node",
        "Pod",
        "Pod",
        "Pod",
    ]
    told = yaml.safe_load(ready["spec"]["next"]["statusTemplate"])
    assert told["addresses"] == [{"type": "InternalIP", "address": "192.0.2.9"}]
    assert told["allocatable"]["pods"] == str(fakenode.PODS)
    assert ends["spec"]["delay"] == {"durationMilliseconds": fakenode.RUN_MILLISECONDS}
    assert goes["spec"]["next"] == {"delete": True}
    assert logs["spec"]["logs"][0]["logsFile"] == str(tmp_path / "log")
    ending = [each for each in ends["spec"]["selector"]["matchExpressions"] if ENDS in each["key"]]
    assert [each["values"] for each in ending] == [[fakenode.SOON]]


def test_nothing_is_put_on_the_machine_that_does_not_ask_for_it() -> None:
    (taint,) = machine("fake")["spec"]["taints"]
    assert taint["effect"] == "NoSchedule"


@pytest.mark.parametrize("ending", [True, False])
def test_a_runs_job_is_for_the_machine_and_keeps_the_rules(tmp_path: Path, ending: bool) -> None:
    values: Any = FakeNode("fake", cast(Any, SimpleNamespace()), tmp_path).values(ending=ending)
    overrides = tmp_path / "overrides"
    overrides.mkdir()
    for name, text in values["jobs"]["templates"].items():
        (overrides / name).write_text(text)
    pod = rendered(RUN, tmp_path, "v4", overrides)["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"kubernetes.io/hostname": "fake"}
    assert [each["key"] for each in pod["tolerations"]] == [ENDS]
    assert values["jobs"].get("podLabels", {}) == ({ENDS: fakenode.SOON} if ending else {})


def test_its_certificate_is_the_clusters_own(tmp_path: Path) -> None:
    Authority.create(tmp_path / "pki")
    issue_certificate(tmp_path / "pki", tmp_path, IPv4Address("192.0.2.9"))
    context = ssl.create_default_context(cafile=str(tmp_path / "pki" / "ca.crt"))
    context.load_cert_chain(tmp_path / "kubelet.crt", tmp_path / "kubelet.key")
    written = x509.load_pem_x509_certificate((tmp_path / "kubelet.crt").read_bytes())
    names = written.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [IPv4Address("192.0.2.9")]
