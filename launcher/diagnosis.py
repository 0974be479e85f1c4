"""How a run ended, by what Kubernetes shows of its Job and pod: a vantage6 status, a sentence for the researcher."""

from launcher.kubeapi import Tree
from launcher.runs import JobState, Outcome, RunStatus

CONTAINER = "algorithm"

# Reasons for which a container waits and that time does not heal
# (kubelet: pkg/kubelet/images/types.go, pkg/kubelet/kuberuntime).
_IMAGE_REASONS = {"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ErrImagePull"}
_START_REASONS = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}


def job_state(job: Tree | None, pod: Tree | None) -> JobState:
    """What a Job and its pod, as the API server shows them, amount to."""
    if job is None:
        return JobState.NONE
    if job["metadata"].get("deletionTimestamp"):
        return JobState.DELETING
    if outcome(job, pod) is not None:
        return JobState.FINISHED
    return JobState.RUNNING if "running" in _container_state(pod) else JobState.PENDING


def outcome(job: Tree, pod: Tree | None) -> Outcome | None:
    """How the run ended, or None if it did not yet.

    The container's own termination is looked at first: it shows in the pod about a second before the Job ends.
    """
    state = _container_state(pod)
    if "terminated" in state:
        return _ended(state["terminated"], pod or {})
    if "waiting" in state and (failure := _never_starts(state["waiting"])):
        return failure
    for condition in job.get("status", {}).get("conditions") or ():
        if condition["type"] == "Failed" and condition["status"] == "True":
            return _job_failed(condition, pod)
        if condition["type"] == "Complete" and condition["status"] == "True":
            return Outcome(RunStatus.COMPLETED)
    return None


def _container_state(pod: Tree | None) -> Tree:
    for status in (pod or {}).get("status", {}).get("containerStatuses") or ():
        if status["name"] == CONTAINER:
            return dict(status.get("state") or {})
    return {}


def _ended(terminated: Tree, pod: Tree) -> Outcome:
    code = terminated.get("exitCode")
    if code == 0:
        return Outcome(RunStatus.COMPLETED)
    if terminated.get("reason") == "OOMKilled":
        limit = _memory_limit(pod)
        return Outcome(
            RunStatus.CRASHED, f"The algorithm was ended because it used more memory than its limit of {limit}."
        )
    if pod.get("status", {}).get("reason") == "DeadlineExceeded":
        return Outcome(RunStatus.CRASHED, _deadline(pod))
    return Outcome(RunStatus.CRASHED, f"The algorithm ended with exit code {code}.")


def _deadline(pod: Tree) -> str:
    seconds = pod.get("spec", {}).get("activeDeadlineSeconds", "?")
    return f"The algorithm was ended because it ran longer than the {seconds} seconds that this node allows."


def _memory_limit(pod: Tree) -> str:
    for container in pod.get("spec", {}).get("containers") or ():
        if container["name"] == CONTAINER:
            return str(container.get("resources", {}).get("limits", {}).get("memory", "the node's memory"))
    return "unknown size"


def _never_starts(waiting: Tree) -> Outcome | None:
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    # ErrImagePull is the first failure and may pass; kubelet says ImagePullBackOff when it failed again.
    if reason in _IMAGE_REASONS - {"ErrImagePull"}:
        return Outcome(RunStatus.NO_DOCKER_IMAGE, f"The algorithm's image can't be used here ({reason}): {message}")
    if reason in _START_REASONS:
        return Outcome(RunStatus.START_FAILED, f"The algorithm's container can't be started ({reason}): {message}")
    return None


def _job_failed(condition: Tree, pod: Tree | None) -> Outcome:
    if (pod or {}).get("status", {}).get("reason") == "DeadlineExceeded":
        return Outcome(RunStatus.CRASHED, _deadline(pod or {}))
    words = condition.get("message") or condition.get("reason") or "no reason was given"
    return Outcome(RunStatus.UNKNOWN_ERROR, f"The algorithm's pod did not finish: {words}")
