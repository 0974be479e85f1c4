"""The audit line: who, what, which decision, how it ended; and nothing that is not for it."""

import json
import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher import audit, logs
from launcher.runs import Outcome, Receipt, RequestedDatabase, RunStatus
from tests.unit.test_taskfiles import IDENTITY, RUN

POD = {
    "status": {
        "containerStatuses": [
            {
                "name": "algorithm",
                "imageID": "ghcr.io/a/b@sha256:1",
                "state": {
                    "terminated": {
                        "startedAt": "2026-01-01T00:00:00Z",
                        "finishedAt": "2026-01-01T00:00:12Z",
                        "exitCode": 0,
                    }
                },
            }
        ]
    }
}
TASK = replace(
    RUN, image="ghcr.io/a/b:1", init_user_id=5, init_organization_id=3, databases=(RequestedDatabase("default"),)
)


def written(known, pod=POD, end=None):
    """The line as it is printed, as a text."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(logs.JsonLines().format(record))
    audit.log.addHandler(handler)
    try:
        end = end or Outcome(RunStatus.COMPLETED)
        audit.write(IDENTITY, 7, known, Receipt(end, 10, 20), pod=pod)
    finally:
        audit.log.removeHandler(handler)
    (line,) = lines
    return line


LINE = {
    "level": "INFO",
    "logger": "launcher.audit",
    "event": "run",
    "server": "https://server/api",
    "node": 3,
    "run": 7,
    "task": 5,
    "job": 4,
    "image": "ghcr.io/a/b:1",
    "user": 5,
    "organization": 3,
    "databases": ["default"],
    "policy": "allowed_users",
    "profile": "gpu",
    "digest": "sha256:1",
    "status": "completed",
    "reason": "",
    "seconds": 12.0,
    "result_bytes": 10,
    "log_bytes": 20,
}


def test_the_line():
    line = json.loads(written(audit.of_run(TASK, "allowed_users", "gpu")))
    assert line.pop("time")
    assert line == LINE


def test_the_job_of_an_earlier_launcher_says_as_much():
    job = {"metadata": {"annotations": audit.annotation(TASK, "allowed_users", "gpu")}}
    line = json.loads(written(audit.of_job(job)))
    assert {**line, "time": None} == {**LINE, "time": None}


@pytest.mark.parametrize("annotations", [None, {}, {audit.ANNOTATION: "no JSON"}, {audit.ANNOTATION: "[]"}])
def test_a_job_that_says_nothing_is_no_fault(annotations):
    line = json.loads(written(audit.of_job({"metadata": {"annotations": annotations}}), pod=None))
    assert (line["run"], line["image"], line["digest"], line["seconds"]) == (7, None, None, None)


def test_it_is_written_whatever_the_level_of_the_log():
    before = logging.getLogger("launcher").level
    try:
        logging.getLogger("launcher").setLevel("CRITICAL")
        assert audit.log.isEnabledFor(logging.INFO)
    finally:
        logging.getLogger("launcher").setLevel(before)


@given(st.from_regex(r"sesame-[a-z]{12}", fullmatch=True))
def test_no_secret_or_data_gets_into_it(secret):
    run = replace(
        TASK, task_name=secret, databases=(RequestedDatabase("default", {"query": secret, secret: {"a": [secret]}}),)
    )
    env = [{"name": "X", "value": secret}]
    pod = {
        "metadata": {"annotations": {"a": secret}, "labels": {"a": secret}},
        "spec": {"containers": [{"name": "algorithm", "env": env}]},
        "status": {**POD["status"], "message": secret},
    }
    kept = json.loads(audit.annotation(run, "none", "gpu")[audit.ANNOTATION])
    job = {
        "metadata": {"annotations": {"a": secret, audit.ANNOTATION: json.dumps({**kept, "token": secret})}},
        "spec": {"template": pod},
    }
    assert secret not in json.dumps(kept)
    assert secret not in written(audit.of_run(run, "none"), pod)
    assert secret not in written(audit.of_job(job), pod)
    logs.hide(secret)  # a password that a sentence repeats, as what a registry says may
    try:
        assert secret not in written(audit.of_run(run, "none"), pod, Outcome(RunStatus.FAILED, f"said {secret}"))
    finally:
        logs._secrets.discard(secret)
