"""`v6-node render --check` with an API server: a dry run of the Job and of its pod, and what it says."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from ci.tools import bin_dir
from launcher.__main__ import app
from tests.chart.apiserver import Judge, api_server
from tests.chart.rendering import MINIMAL

JOBS, PODS = "/apis/batch/v1/namespaces/v6-node/jobs", "/api/v1/namespaces/v6-node/pods"


def checked(folder: Path, monkeypatch: pytest.MonkeyPatch, judge: Judge) -> tuple[Result, list[tuple[str, str, Any]]]:
    (folder / "values.yaml").write_text(yaml.safe_dump(MINIMAL))
    with api_server(folder, judge=judge) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        command = ["render", "--helm", str(bin_dir() / "helm"), "-f", str(folder / "values.yaml"), "--check"]
        return CliRunner().invoke(app, command), server.asked


def test_job_and_pod_are_tried_and_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, asked = checked(tmp_path, monkeypatch, lambda *_: (201, ""))
    assert result.exit_code == 0
    assert result.stderr.splitlines()[1:] == [
        "server: the API server accepts the Job.",
        "server: the API server accepts its pod.",
    ]
    job = yaml.safe_load(result.stdout)
    assert [(path, body["kind"]) for path, _, body in asked] == [(JOBS, "Job"), (PODS, "Pod")]
    assert all("dryRun=All" in query for _, query, _ in asked)
    assert asked[0][2] == job
    assert asked[1][2]["spec"] == job["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        ((403, 'pods "run-1-x" is forbidden: violates PodSecurity "restricted"'), 1, "refuses its pod: pods"),
        ((422, "spec: Invalid\nvalue"), 1, "the API server refuses its pod: spec: Invalid value"),
        ((403, 'pods is forbidden: User "a" cannot create resource "pods"'), 0, "does not judge its pod"),
        ((404, 'namespaces "v6-node" not found'), 0, 'does not judge its pod (namespaces "v6-node" not found).'),
        ((500, "overloaded"), 0, "the API server does not judge its pod (overloaded)."),
    ],
)
def test_what_it_says_of_the_pod(
    answer: tuple[int, str], code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, _ = checked(tmp_path, monkeypatch, lambda path, _: answer if path == PODS else (201, ""))
    assert result.exit_code == code
    accepted, judged = result.stderr.splitlines()[1:]
    assert accepted == "server: the API server accepts the Job."
    assert says in judged


def test_a_cluster_that_is_away_refuses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(MINIMAL))
    with api_server(tmp_path) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
    command = ["render", "--helm", str(bin_dir() / "helm"), "-f", str(tmp_path / "values.yaml"), "--check"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0
    assert "server: the API server was not asked about the Job, as it can't be reached" in result.stderr
