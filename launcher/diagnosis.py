"""How a run ended, by what Kubernetes shows of its Job and pod: a vantage6 status, a sentence for the researcher.

What does not heal is known here at once; what may, and for how long it is put up with, is in launcher/waiting.py. The
words that are looked for are those of Kubernetes 1.30 to 1.36 and containerd; others are passed on as they are.
"""

import re
import signal

from launcher.kubeapi import Tree
from launcher.runs import Cause, JobState, Outcome, RunStatus
from launcher.waiting import CONTAINER, QUEUE, queue_of, waiting

# What kubelet calls a container that ended before its first instruction (pkg/kubelet/kuberuntime).
_NEVER_RAN = {"StartError", "ContainerCannotRun"}
# Why kubelet refuses a pod that the scheduler gave it (pkg/kubelet/lifecycle/predicate.go).
_REFUSED_BY_MACHINE = re.compile(r"OutOf\w+|UnexpectedAdmissionError|NodeAffinity|\w*AdmissionError|PreemptionError")
# Reasons of the pod condition DisruptionTarget, and of pods (https://kubernetes.io/docs/concepts/workloads/pods/disruptions).
_DISRUPTIONS = {
    "PreemptionByScheduler": "its machine was needed by something of higher priority",
    "DeletionByTaintManager": "its machine was lost or taken out of service",
    "EvictionByEvictionAPI": "its machine was being drained",
    "DeletionByPodGC": "its machine is gone from the cluster",
    "TerminationByKubelet": "its machine was shutting down",
    "Terminated": "its machine was shutting down",
    "NodeShutdown": "its machine was shutting down",
    "NodeLost": "its machine does not answer any more",
    "Preempting": "its machine was needed by something of higher priority",
}
_SEND_AGAIN = "this is not the algorithm's fault: send the task again"


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
    pod = pod or {}
    state = _container_state(pod)
    if "terminated" in state:
        end = _ended(state["terminated"], pod)
        return (_taken_back(job) if end.failed else None) or _imposed(pod) or end
    return _taken_back(job) or _unstarted(job, pod)


def _unstarted(job: Tree, pod: Tree) -> Outcome | None:
    """The end of a run whose container did not end, if it has one."""
    if (hopeless := waiting(job, pod, None)) and hopeless.lasts:
        return hopeless.as_outcome
    if pod.get("status", {}).get("phase") == "Failed" and (ended := _imposed(pod) or _ended_before(pod)):
        return ended
    if failed := _condition(job, "Failed"):
        return _imposed(pod) or _job_failed(failed)
    return Outcome(RunStatus.COMPLETED) if _condition(job, "Complete") else None


def has_ended(pod: Tree | None) -> bool:
    """Whether a pod, as it is known, shows its algorithm's end."""
    phase = (pod or {}).get("status", {}).get("phase")
    return "terminated" in _container_state(pod) or phase in {"Succeeded", "Failed"}


def never_again(job: Tree, pod: Tree | None) -> bool:
    """Whether the algorithm ran and never will again: what can't start may begin, and what was taken back be let go."""
    return _taken_back(job) is None and (has_ended(pod) or _condition(job, "Failed", "Complete") is not None)


def _taken_back(job: Tree) -> Outcome | None:
    """The end of a Job that was let go and then suspended again: to resume it would be a second execution.

    Each change of a Job's spec counts its generation up from 1 (pkg/registry/batch/job/strategy.go).
    """
    suspended, queued = job.get("spec", {}).get("suspend"), QUEUE in (job["metadata"].get("labels") or {})
    # A queue's Job is made, and resumed once; what resumes it a second time is not waited for either.
    let_go = 2 if queued else 1
    if job["metadata"].get("generation", 1) <= let_go or not (suspended or queued):
        return None
    sentence = f"The algorithm was ended by {queue_of(job)} of this cluster, for others; {_SEND_AGAIN}."
    return Outcome(RunStatus.UNKNOWN_ERROR, sentence, "Job suspended once more", Cause.DISRUPTION)


def _condition(job: Tree, *kinds: str) -> Tree | None:
    for condition in job.get("status", {}).get("conditions") or ():
        if condition["type"] in kinds and condition["status"] == "True":
            return dict(condition)
    return None


def _container_state(pod: Tree | None) -> Tree:
    for status in (pod or {}).get("status", {}).get("containerStatuses") or ():
        if status["name"] == CONTAINER:
            return dict(status.get("state") or {})
    return {}


def _ended_before(pod: Tree) -> Outcome | None:
    """The end of a pod in which the algorithm never ran, as a container of the site's own failed before it."""
    for status in pod["status"].get("initContainerStatuses") or ():
        ended = (status.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            name, code = status["name"], ended["exitCode"]
            sentence = (
                f"The container {name}, which this site runs before algorithms, failed with exit code {code}"
                f"{_meaning(code)}, so the algorithm was not started; the site has to correct it."
            )
            return Outcome(
                RunStatus.START_FAILED, sentence, f"{name} {ended.get('reason')}: {ended.get('message') or ''}"
            )
    return None


def _imposed(pod: Tree) -> Outcome | None:
    """The end of a pod that Kubernetes ended."""
    status = pod.get("status", {})
    reason, words = status.get("reason") or "", _words(status.get("message") or "")
    detail = f"pod {reason}: {words}" if reason else ""
    if reason == "DeadlineExceeded":
        seconds = pod.get("spec", {}).get("activeDeadlineSeconds", "?")
        sentence = f"The algorithm was ended because it ran longer than the {seconds} seconds that this node allows."
        return Outcome(RunStatus.CRASHED, sentence, detail, Cause.DEADLINE)
    if reason == "Evicted":
        return Outcome(RunStatus.CRASHED, _evicted(words), detail, Cause.EVICTION)
    if _REFUSED_BY_MACHINE.fullmatch(reason):
        sentence = f"The machine that was to run the algorithm refused it: {words} Send the task again."
        return Outcome(RunStatus.START_FAILED, sentence, detail, Cause.PLACE)
    if reason in _DISRUPTIONS:
        return _disrupted(reason, detail)
    for condition in status.get("conditions") or ():
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            return _disrupted(
                condition.get("reason") or "", f"pod {condition.get('reason')}: {condition.get('message')}"
            )
    return None


def _evicted(words: str) -> str:
    if volume := re.search(r'EmptyDir volume "([^"]+)" exceeds the limit "([^"]+)"', words):
        place = "/tmp" if volume[1] == "tmp" else f"its scratch volume {volume[1]}"  # noqa: S108  a name
        return f"The algorithm was ended because it wrote more to {place} than the {volume[2]} that this node allows."
    sentence = f"The algorithm was ended because its machine ran short: {words}"
    return f"{sentence} Have it use less, or ask the site for higher requests (jobs.resources)."


def _disrupted(reason: str, detail: str) -> Outcome:
    why = _DISRUPTIONS.get(reason, f"the cluster removed its pod ({reason or 'no reason was given'})")
    return Outcome(
        RunStatus.UNKNOWN_ERROR, f"The algorithm was ended because {why}; {_SEND_AGAIN}.", detail, Cause.DISRUPTION
    )


def _ended(terminated: Tree, pod: Tree) -> Outcome:
    code, reason = terminated.get("exitCode"), terminated.get("reason") or ""
    words = _words(terminated.get("message") or "")
    detail = f"container {reason}, exit code {code}: {words}".rstrip(": ")
    if code == 0:
        return Outcome(RunStatus.COMPLETED)
    if reason in _NEVER_RAN:
        return Outcome(RunStatus.START_FAILED, _entry_point(words), detail, Cause.IMAGE)
    if reason == "ContainerStatusUnknown":
        return Outcome(
            RunStatus.UNKNOWN_ERROR,
            f"The algorithm's machine lost its container; {_SEND_AGAIN}.",
            detail,
            Cause.DISRUPTION,
        )
    if reason == "OOMKilled":
        sentence = f"The algorithm was ended because it used more memory than its limit of {_memory_limit(pod)}."
        return Outcome(RunStatus.CRASHED, sentence, detail, Cause.MEMORY)
    return Outcome(
        RunStatus.CRASHED, f"The algorithm ended with exit code {code}{_meaning(code)}.", detail, Cause.EXIT_CODE
    )


def _entry_point(words: str) -> str:
    # The runtimes' own path to the fault is of no use to a researcher: what was executed, and why not, comes last.
    said = re.search(r'exec(?:ve)?: .*|exec "[^"]*".*', words)
    return f"The algorithm's image can't be started, correct its entry point: {said[0] if said else words}"


def _meaning(code: int | None) -> str:
    """What an exit code says by convention (128 + signal; https://tldp.org/LDP/abs/html/exitcodes.html)."""
    known = {126: "its command may not be executed", 127: "its command was not found"}
    signals = {128 + each.value: each.name for each in signal.Signals}
    further = {"SIGKILL": ", which is also how memory shortage ends a process", "SIGSEGV": ": a fault in native code"}
    if code is None:
        return ""
    if code in known:
        return f", which by convention means that {known[code]}"
    if code in signals:
        name = signals[code]
        return f", so it was ended by {name}{further.get(name, '')}"
    return ""


def _memory_limit(pod: Tree) -> str:
    for container in pod.get("spec", {}).get("containers") or ():
        if container["name"] == CONTAINER:
            return str(container.get("resources", {}).get("limits", {}).get("memory", "the node's memory"))
    return "unknown size"


def _job_failed(condition: Tree) -> Outcome:
    words = condition.get("message") or condition.get("reason") or "no reason was given"
    detail = f"job {condition.get('reason')}: {words}"
    if "DisruptionTarget" in words:
        return _disrupted("the machine was drained, lost or needed for something else", detail)
    return Outcome(RunStatus.UNKNOWN_ERROR, f"The algorithm's pod did not finish: {words}", detail, Cause.DISRUPTION)


def _words(message: str) -> str:
    text = " ".join(message.split())
    return text if not text or text.endswith((".", "!")) else f"{text}."
