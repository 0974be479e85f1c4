"""What Kubernetes shows of a Job and pod, and what the node makes of it."""

import pytest

from launcher.diagnosis import job_state, outcome
from launcher.runs import JobState, RunStatus


def a_job(*conditions, deleted=False):
    metadata = {"name": "run-1", "deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {"name": "run-1"}
    return {"metadata": metadata, "status": {"conditions": list(conditions)}}


def a_pod(state, reason=None):
    return {
        "spec": {
            "activeDeadlineSeconds": 60,
            "containers": [{"name": "algorithm", "resources": {"limits": {"memory": "2Gi"}}}],
        },
        "status": {
            "reason": reason,
            "containerStatuses": [
                {"name": "sidecar", "state": {"terminated": {"exitCode": 9}}},
                {"name": "algorithm", "state": state},
            ],
        },
    }


FAILED = {"type": "Failed", "status": "True", "reason": "PodFailurePolicy", "message": "pod was evicted"}
COMPLETE = {"type": "Complete", "status": "True"}


@pytest.mark.parametrize(
    ("job", "pod", "state"),
    [
        (None, None, JobState.NONE),
        (a_job(), None, JobState.PENDING),
        (a_job(), a_pod({"waiting": {"reason": "ContainerCreating"}}), JobState.PENDING),
        (a_job(), a_pod({"waiting": {"reason": "ErrImagePull"}}), JobState.PENDING),
        (a_job(), a_pod({"running": {}}), JobState.RUNNING),
        (a_job(), a_pod({"terminated": {"exitCode": 0}}), JobState.FINISHED),
        (a_job(), a_pod({"waiting": {"reason": "ImagePullBackOff"}}), JobState.FINISHED),
        (a_job(FAILED), None, JobState.FINISHED),
        (a_job(COMPLETE), None, JobState.FINISHED),
        (a_job(COMPLETE, deleted=True), None, JobState.DELETING),
    ],
)
def test_the_state_of_a_job(job, pod, state):
    assert job_state(job, pod) is state


@pytest.mark.parametrize(
    ("job", "pod", "status", "words"),
    [
        (a_job(), a_pod({"terminated": {"exitCode": 0}}), RunStatus.COMPLETED, ""),
        (a_job(), a_pod({"terminated": {"exitCode": 3}}), RunStatus.CRASHED, "exit code 3"),
        (a_job(), a_pod({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}), RunStatus.CRASHED, "limit of 2Gi"),
        (a_job(), a_pod({"terminated": {"exitCode": 137}}, "DeadlineExceeded"), RunStatus.CRASHED, "60 seconds"),
        (a_job(FAILED), a_pod({}, "DeadlineExceeded"), RunStatus.CRASHED, "60 seconds"),
        (a_job(), a_pod({"waiting": {"reason": "InvalidImageName"}}), RunStatus.NO_DOCKER_IMAGE, "InvalidImageName"),
        (
            a_job(),
            a_pod({"waiting": {"reason": "CreateContainerConfigError", "message": "runAsNonRoot"}}),
            RunStatus.START_FAILED,
            "runAsNonRoot",
        ),
        (a_job(FAILED), None, RunStatus.UNKNOWN_ERROR, "pod was evicted"),
        (a_job(COMPLETE), None, RunStatus.COMPLETED, ""),
    ],
)
def test_how_a_run_ended(job, pod, status, words):
    end = outcome(job, pod)
    assert end.status is status
    assert words in end.sentence
    assert bool(end.sentence) == end.failed


def test_a_run_that_goes_on_has_no_outcome():
    assert outcome(a_job(), a_pod({"running": {}})) is None
