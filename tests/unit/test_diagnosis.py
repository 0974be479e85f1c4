"""What Kubernetes shows of a Job and pod, and what the node makes of it."""

import pytest

from launcher.diagnosis import job_state, never_again, outcome
from launcher.runs import Cause, JobState, RunStatus


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
        (a_job(), a_pod({"waiting": {"reason": "ImagePullBackOff", "message": "x: not found"}}), JobState.FINISHED),
        (a_job(), a_pod({"waiting": {"reason": "ImagePullBackOff", "message": "dial tcp: refused"}}), JobState.PENDING),
        (a_job(FAILED), None, JobState.FINISHED),
        (a_job(COMPLETE), None, JobState.FINISHED),
        (a_job(COMPLETE, deleted=True), None, JobState.DELETING),
    ],
)
def test_the_state_of_a_job(job, pod, state):
    assert job_state(job, pod) is state


# In the words of containerd, the Job controller and kubelet.
RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: error during container init: "
    'exec: "/nowhere": stat /nowhere: no such file or directory'
)
POLICY = "Pod hospital/run-1-abcde has condition DisruptionTarget matching FailJob rule at index 0"
LOW = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 8Mi. "
EMPTY_DIR = 'Usage of EmptyDir volume "tmp" exceeds the limit "8Mi". '
SCRATCH = 'Usage of EmptyDir volume "cache" exceeds the limit "8Mi". '


def ended(code, reason="Error", message="", *, pod_reason=None, pod_message="", disrupted=None):
    """A pod whose container ended, as kubelet shows it."""
    pod = a_pod({"terminated": {"exitCode": code, "reason": reason, "message": message}}, pod_reason)
    pod["status"] |= {"phase": "Succeeded" if code == 0 else "Failed", "message": pod_message}
    if disrupted:
        pod["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True", "reason": disrupted}]
    return pod


def failed(reason, message=""):
    """A pod that failed without a word on its container."""
    pod = a_pod({}, reason)
    pod["status"] |= {"phase": "Failed", "message": message, "containerStatuses": None}
    return pod


@pytest.mark.parametrize(
    ("pod", "status", "words"),
    [
        (ended(0, "Completed"), RunStatus.COMPLETED, ""),
        (ended(3), RunStatus.CRASHED, "The algorithm ended with exit code 3."),
        (ended(1), RunStatus.CRASHED, "The algorithm ended with exit code 1."),
        (ended(127), RunStatus.CRASHED, "means that its command was not found"),
        (ended(137), RunStatus.CRASHED, "ended by SIGKILL, which is also how memory shortage"),
        (ended(139), RunStatus.CRASHED, "ended by SIGSEGV: a fault in native code"),
        (ended(143), RunStatus.CRASHED, "ended by SIGTERM"),
        (ended(200), RunStatus.CRASHED, "The algorithm ended with exit code 200."),
        (ended(137, "OOMKilled"), RunStatus.CRASHED, "more memory than its limit of 2Gi"),
        (ended(128, "StartError", RUNC), RunStatus.START_FAILED, 'exec: "/nowhere": stat /nowhere: no such file'),
        (ended(137, "ContainerStatusUnknown"), RunStatus.UNKNOWN_ERROR, "machine lost its container"),
        (ended(137, pod_reason="DeadlineExceeded"), RunStatus.CRASHED, "longer than the 60 seconds"),
        (ended(0, pod_reason="DeadlineExceeded"), RunStatus.CRASHED, "longer than the 60 seconds"),
        (ended(137, pod_reason="Evicted", pod_message=LOW), RunStatus.CRASHED, "low on resource: memory"),
        (ended(137, pod_reason="Evicted", pod_message=EMPTY_DIR), RunStatus.CRASHED, "more to /tmp than the 8Mi"),
        (ended(137, pod_reason="Evicted", pod_message=SCRATCH), RunStatus.CRASHED, "its scratch volume cache"),
        (failed("Evicted", LOW), RunStatus.CRASHED, "low on resource: memory"),
        (failed("OutOfmemory", "Node didn't have enough resource: memory"), RunStatus.START_FAILED, "enough resource"),
        (failed("NodeLost"), RunStatus.UNKNOWN_ERROR, "does not answer any more"),
        (ended(143, pod_reason="Terminated"), RunStatus.UNKNOWN_ERROR, "shutting down"),
        (ended(143, disrupted="EvictionByEvictionAPI"), RunStatus.UNKNOWN_ERROR, "was being drained"),
        (ended(143, disrupted="PreemptionByScheduler"), RunStatus.UNKNOWN_ERROR, "of higher priority"),
        (ended(143, disrupted="DeletionByTaintManager"), RunStatus.UNKNOWN_ERROR, "was lost or taken out of service"),
        (ended(143, disrupted="Surprise"), RunStatus.UNKNOWN_ERROR, "the cluster removed its pod (Surprise)"),
    ],
)
def test_how_a_pod_ended(pod, status, words):
    end = outcome(a_job(), pod)
    assert end.status is status
    assert words in end.sentence
    assert bool(end.sentence) == end.failed == bool(end.detail)


@pytest.mark.parametrize(
    ("condition", "pod", "status", "words"),
    [
        (FAILED, a_pod({}, "DeadlineExceeded"), RunStatus.CRASHED, "60 seconds"),
        (FAILED, None, RunStatus.UNKNOWN_ERROR, "pod was evicted"),
        ({**FAILED, "message": POLICY}, None, RunStatus.UNKNOWN_ERROR, "drained, lost or needed"),
        (COMPLETE, None, RunStatus.COMPLETED, ""),
    ],
)
def test_how_a_job_ended(condition, pod, status, words):
    end = outcome(a_job(condition), pod)
    assert end.status is status
    assert words in end.sentence


def test_a_run_that_goes_on_has_no_outcome():
    assert outcome(a_job(), a_pod({"running": {}})) is None


def test_a_disruption_that_is_announced_is_no_end_yet():
    pod = a_pod({"running": {}})
    pod["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]
    assert outcome(a_job(), pod) is None


def before(*states, phase="Failed"):
    """A pod whose algorithm never ran, with the site's own containers before it."""
    pod = a_pod({"waiting": {"reason": "PodInitializing"}})
    mine = [{"name": f"first-{index}", "state": state} for index, state in enumerate(states)]
    return {**pod, "status": {**pod["status"], "phase": phase, "initContainerStatuses": mine}}


def test_a_container_of_the_site_s_own_that_fails_is_named():
    pod = before({"terminated": {"exitCode": 0}}, {"terminated": {"exitCode": 127, "reason": "Error"}})
    ended = outcome(a_job(), pod)
    assert ended.status is RunStatus.START_FAILED
    assert ended.sentence == (
        "The container first-1, which this site runs before algorithms, failed with exit code 127, which by convention "
        "means that its command was not found, so the algorithm was not started; the site has to correct it."
    )
    assert ended.detail == "first-1 Error: "


def test_one_that_ended_well_or_still_runs_says_nothing():
    for pod in (before({"terminated": {"exitCode": 0}}), before({"running": {}}), before({}), before()):
        assert outcome(a_job(), pod) is None
    restarted = before({"terminated": {"exitCode": 1}}, phase="Pending")
    assert outcome(a_job(), restarted) is None, "one beside the algorithm is started again"


def a_suspended_job(generation, *, suspend=True, queue="algorithms"):
    job = a_job()
    job["metadata"] |= {"generation": generation, "labels": {"kueue.x-k8s.io/queue-name": queue} if queue else {}}
    return job | {"spec": {"suspend": suspend}}


@pytest.mark.parametrize(
    ("job", "pod", "status"),
    [
        (a_suspended_job(1), None, None),
        (a_suspended_job(2, suspend=False), a_pod({"running": {}}), None),
        (a_suspended_job(3), a_pod({"running": {}}), RunStatus.UNKNOWN_ERROR),
        (a_suspended_job(3), a_pod({"terminated": {"exitCode": 143}}), RunStatus.UNKNOWN_ERROR),
        (a_suspended_job(3), a_pod({"terminated": {"exitCode": 0}}), RunStatus.COMPLETED),
        (a_suspended_job(3), None, RunStatus.UNKNOWN_ERROR),
        (a_suspended_job(4, suspend=False), None, RunStatus.UNKNOWN_ERROR),
        (a_suspended_job(1, queue=""), None, None),
        (a_suspended_job(2, queue=""), None, RunStatus.UNKNOWN_ERROR),
        (a_suspended_job(2, suspend=False, queue=""), a_pod({"running": {}}), None),
    ],
)
def test_a_job_that_was_let_go_and_suspended_again_has_ended(job, pod, status):
    end = outcome(job, pod)
    assert (end and end.status) is status
    if status is RunStatus.UNKNOWN_ERROR:
        assert "this is not the algorithm's fault" in end.sentence
        assert end.cause is Cause.DISRUPTION


@pytest.mark.parametrize(
    ("job", "pod", "expected"),
    [
        (a_job(), a_pod({"running": {}}), False),
        (a_job(), a_pod({"terminated": {"exitCode": 3}}), True),
        (a_job(FAILED), None, True),
        (a_job(FAILED | {"status": "False"}), None, False),
        (a_job(), a_pod({"waiting": {"reason": "CreateContainerConfigError"}}), False),
        (a_suspended_job(2, suspend=False), a_pod({"terminated": {"exitCode": 3}}), True),
        (a_suspended_job(3), a_pod({"terminated": {"exitCode": 143}}), False),
        (a_suspended_job(4, suspend=False), a_pod({"terminated": {"exitCode": 143}}), False),
    ],
)
def test_what_may_begin_once_more_is_not_over(job, pod, expected):
    """Its Job can't be kept for a look: it would begin while it is looked at."""
    assert never_again(job, pod) is expected
