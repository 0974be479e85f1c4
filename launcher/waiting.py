"""Why a run's algorithm does not run yet, by what Kubernetes shows, and for how long that is put up with.

A shortage passes when others end; a wrong label, path or name does not heal by itself, but somebody may repair it; an
image that does not exist is not worth waiting for. The words that tell them apart are those of kube-scheduler,
kubelet, containerd and the admission plugins of Kubernetes 1.30 to 1.36.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from kubernetes.utils.quantity import parse_quantity

from launcher.kubeapi import Tree
from launcher.runs import Cause, Outcome, RunStatus

CONTAINER = "algorithm"
QUEUE = "kueue.x-k8s.io/queue-name"
"""The label by which Kueue knows which queue a Job is in (https://kueue.sigs.k8s.io/docs/tasks/run/jobs)."""


class Patience(Enum):
    """How long a reason is put up with."""

    NONE = auto()
    SHORT = auto()  # until somebody may have repaired it
    LONG = auto()  # until others may have made room
    ENDLESS = auto()


@dataclass(frozen=True, slots=True)
class Trouble:
    """The last warning that Kubernetes recorded as an Event of a run's Job or pod."""

    about: str
    """uid of the Job or pod."""
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a run waits."""

    patience: Patience
    status: RunStatus
    """With which the run fails when patience ends."""
    sentence: str
    detail: str
    cause: Cause

    @property
    def lasts(self) -> bool:
        """Whether it is not worth waiting for its end."""
        return self.patience is Patience.NONE

    @property
    def as_outcome(self) -> Outcome:
        """The run's end, should it wait no longer."""
        return Outcome(self.status, self.sentence, self.detail, self.cause)


def waiting(job: Tree, pod: Tree | None, trouble: Trouble | None) -> Waiting | None:
    """Why the algorithm of a Job does not run yet; None if nothing is known, or it runs or ran.

    Args:
        job: as the API server shows it.
        pod: its pod, if there is one.
        trouble: the last warning on either.
    """
    if pod is None and job.get("spec", {}).get("suspend"):
        return _suspended(job)
    if pod is None:
        told = trouble and trouble.about == job["metadata"].get("uid") and trouble.reason == "FailedCreate"
        return _refused(trouble.message) if told and trouble else None
    mine = trouble if trouble and trouble.about == pod["metadata"].get("uid") else None
    status = pod.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    if found := _unplaced(conditions.get("PodScheduled", {}), mine) or _site_s_own(pod):
        return found
    for container in status.get("containerStatuses") or ():
        if container["name"] == CONTAINER and (held := (container.get("state") or {}).get("waiting")):
            return _held(held.get("reason") or "", held.get("message") or "", mine, conditions)
    return None


# The Job is held back: by a queue


def queue_of(job: Tree) -> str:
    """Kueue's queue that a Job is in, in words."""
    name = (job["metadata"].get("labels") or {}).get(QUEUE)
    return f"the queue {name}" if name else "whoever suspended its Job"


def _suspended(job: Tree) -> Waiting:
    sentence = f"The algorithm is held back by {queue_of(job)} of this cluster until there is room for it."
    return Waiting(Patience.LONG, RunStatus.START_FAILED, sentence, "Job suspended", Cause.ROOM)


# The pod could not be made: quota and admission


def _refused(message: str) -> Waiting:
    words = re.sub(r"^Error creating: (pods \"[^\"]*\" is forbidden: )?", "", " ".join(message.split()))
    detail = f"FailedCreate: {message}"
    if "exceeded quota" in words and not _asks_for_more_than_there_is(words):
        sentence = f"The quota of this node has no room for the algorithm: {_full(words)}"
        return Waiting(Patience.LONG, RunStatus.START_FAILED, sentence, detail, Cause.ROOM)
    sentence = (
        f"The cluster does not admit the algorithm's pod: {_full(words)} The site has to change jobs or the rule."
    )
    return Waiting(Patience.SHORT, RunStatus.START_FAILED, sentence, detail, Cause.ADMISSION)


def _asks_for_more_than_there_is(words: str) -> bool:
    """Whether a quota would not do even if nobody else used any of it."""
    lists = re.search(r"requested: (\S+), used: \S+, limited: (\S+)", words)
    if not lists:
        return False
    requested, limited = ({key: value for key, _, value in _pairs(text)} for text in lists.groups())
    try:
        return any(parse_quantity(requested[key]) > parse_quantity(limited[key]) for key in requested.keys() & limited)  # type: ignore[no-untyped-call]
    except ValueError:
        return False


def _pairs(text: str) -> list[tuple[str, str, str]]:
    return [each.partition("=") for each in text.split(",")]


# No machine was found: the scheduler's words

# Shortages, and states of machines that end by themselves (pkg/scheduler/framework/plugins).
_PASSES = re.compile(
    r"Insufficient |Too many pods|max volume count|free ports|no nodes available|0/0 nodes|allocate all claims"
    r"|anti-affinity rules|topology spread constraints(?! \(missing)"  # on others, which end
    r"|were unschedulable|taints? \{(node\.kubernetes\.io/|node\.cloudprovider\.kubernetes\.io/|ToBeDeletedBy)"
)
_APART = re.compile(r"volume node affinity|PersistentVolume's node affinity")  # the latter since Kubernetes 1.34
_PREEMPTION = re.compile(r"\s*(no new claims to deallocate, )?preemption: .*")


def _unplaced(scheduled: Tree, trouble: Trouble | None) -> Waiting | None:
    if scheduled.get("status") == "False":
        return _unscheduled(scheduled.get("reason") or "", scheduled.get("message") or "")
    # No machine is looked for before the claims of a pod, on GPUs for example, have been made.
    if not scheduled and trouble and trouble.reason == "FailedResourceClaimCreation":
        words = _full(" ".join(trouble.message.split()))
        sentence = f"The devices that the algorithm needs can't be claimed: {words} The site has to correct it."
        detail = f"{trouble.reason}: {trouble.message}"
        return Waiting(Patience.SHORT, RunStatus.START_FAILED, sentence, detail, Cause.PLACE)
    return None


def _unscheduled(reason: str, message: str) -> Waiting:
    words = _full(_PREEMPTION.sub("", " ".join(message.split())))
    detail = f"{reason}: {message}"
    if reason == "SchedulingGated":
        sentence = f"The cluster holds the algorithm back until something else lets it go: {words}"
        return Waiting(Patience.LONG, RunStatus.START_FAILED, sentence, detail, Cause.ROOM)
    if _PASSES.search(words):
        sentence = f"No machine has room for the algorithm now: {words}"
        return Waiting(Patience.LONG, RunStatus.START_FAILED, sentence, detail, Cause.ROOM)
    if _APART.search(words):
        sentence = (
            "No machine that the algorithm may run on can mount all volumes that it needs, its databases and the task "
            f"volume of this node: {words} The site has to correct it."
        )
        return Waiting(Patience.SHORT, RunStatus.START_FAILED, sentence, detail, Cause.VOLUME)
    if "persistentvolumeclaim" in words.lower():
        sentence = f"A volume that the algorithm needs is not available: {words} The site has to correct it."
        return Waiting(Patience.SHORT, RunStatus.START_FAILED, sentence, detail, Cause.VOLUME)
    sentence = (
        f"No machine of the cluster is one that algorithms of this node may run on: {words} The site has to correct it."
    )
    return Waiting(Patience.SHORT, RunStatus.START_FAILED, sentence, detail, Cause.PLACE)


# A machine was found, but the container does not start: kubelet's words

_IMAGE = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ErrImageInspect",
    "RegistryUnavailable",
}
_START = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
# What kubelet meets now and then on a busy machine.
_MOMENTARY = re.compile(r"timed out waiting|failed to sync|context deadline exceeded|failed to reserve container name")


def _held(reason: str, message: str, trouble: Trouble | None, conditions: dict[str, Tree]) -> Waiting | None:
    if reason in _IMAGE:
        return _no_image(reason, message, trouble)
    if reason in _START:
        momentary = _MOMENTARY.search(message) or reason == "RunContainerError"  # which ends as StartError
        sentence = f"The algorithm's container can't be made: {_full(' '.join(message.split()))}"
        patience = Patience.SHORT if momentary else Patience.NONE
        return Waiting(patience, RunStatus.START_FAILED, sentence, f"{reason}: {message}", Cause.CONTAINER)
    # Volumes come before the network, the network before the image: once this condition holds, both worked.
    if trouble and conditions.get("PodReadyToStartContainers", {}).get("status") != "True":
        return _not_ready(trouble)
    return Waiting(
        Patience.ENDLESS,
        RunStatus.START_FAILED,
        "The algorithm's container is being made; its image may still be on its way.",
        "",
        Cause.CONTAINER,
    )


def _site_s_own(pod: Tree) -> Waiting | None:
    """What the containers do that the site has started before or beside the algorithm, which waits for them."""
    listed = pod.get("spec", {}).get("initContainers") or ()
    beside = {each["name"] for each in listed if each.get("restartPolicy") == "Always"}
    for container in pod.get("status", {}).get("initContainerStatuses") or ():
        name, now = container["name"], container.get("state") or {}
        held = now.get("waiting") or {}
        if held.get("reason") in _IMAGE | _START | {"CrashLoopBackOff"}:
            return _does_not_start(name, held["reason"], held.get("message") or "")
        if "running" in now and name not in beside:
            sentence = (
                f"The container {name}, which this site runs before algorithms, has not ended yet; one that is to stay "
                "beside them needs restartPolicy: Always in the site's template."
            )
            return Waiting(Patience.ENDLESS, RunStatus.START_FAILED, sentence, "", Cause.CONTAINER)
    return None


def _does_not_start(name: str, reason: str, message: str) -> Waiting:
    words = _full(" ".join(message.split()) or reason)
    sentence = f"The container {name}, which this site runs beside algorithms, does not start: {words}"
    sentence = f"{sentence} The site has to correct it."
    return Waiting(Patience.SHORT, RunStatus.START_FAILED, sentence, f"{name} {reason}: {message}", Cause.CONTAINER)


def _not_ready(trouble: Trouble) -> Waiting | None:
    words = _full(" ".join(trouble.message.split()))
    detail = f"{trouble.reason}: {trouble.message}"
    if trouble.reason in {"FailedMount", "FailedAttachVolume", "FailedMapVolume"}:
        if "Multi-Attach error" in words:  # a disk that another machine still holds
            sentence = f"A volume that the algorithm needs is in use on another machine: {words}"
            return Waiting(Patience.LONG, RunStatus.START_FAILED, sentence, detail, Cause.VOLUME)
        sentence = f"A database or volume can't be mounted: {words} The site has to correct its path or claim."
        return Waiting(Patience.SHORT, RunStatus.START_FAILED, sentence, detail, Cause.VOLUME)
    if trouble.reason == "FailedCreatePodSandBox":
        sentence = f"The algorithm's machine can't set up its network: {words} The site has to look at that machine."
        return Waiting(Patience.SHORT, RunStatus.START_FAILED, sentence, detail, Cause.NETWORK)
    return None


_IMAGE_FAULTS = (
    (
        r"no match for platform",
        "it is not made for the processors of this cluster; build it for them too",
        Patience.NONE,
    ),
    (r"no space left on device", "its machine's disk is full; the site has to make room", Patience.SHORT),
    (
        r"unauthorized|authentication|denied|forbidden|no basic auth|insufficient_scope|\b40[13]\b",
        "the registry does not give it to this node; correct its name, or have the site give credentials "
        "(imagePullSecrets)",
        Patience.NONE,
    ),
    (
        r"dial tcp|no such host|connection refused|i/o timeout|TLS|x509|server misbehaving|\bEOF\b|\b(429|50[0-4])\b"
        r"|toomanyrequests",
        "its registry can't be reached from this cluster; correct its name, or have the site look at the way",
        Patience.SHORT,
    ),
    (
        r"not found|manifest unknown|does not exist|\b404\b",
        "there is none of that name; correct it, or push the image",
        Patience.NONE,
    ),
)


def _no_image(reason: str, message: str, trouble: Trouble | None) -> Waiting:
    words = " ".join(message.split())
    # Kubernetes 1.30 says why only at the first failure, and as an Event.
    if trouble and trouble.reason == "Failed" and ": " not in words:
        words = " ".join(trouble.message.split())
    name = re.search(r'image "([^"]+)"', words)
    what = f"The image {name[1]} can't be used here" if name else "The algorithm's image can't be used here"
    detail = f"{reason}: {words}"

    def said(why: str, patience: Patience) -> Waiting:
        return Waiting(patience, RunStatus.NO_DOCKER_IMAGE, f"{what}: {why}.", detail, Cause.IMAGE)

    if reason == "InvalidImageName":
        return said("that is no name of an image; correct it", Patience.NONE)
    if reason == "ErrImageNeverPull":
        return said("it is not on the machine, and this node does not pull (jobs.imagePullPolicy)", Patience.NONE)
    told = words.replace(name[1], "") if name else words  # a name may be anything, "denied" too
    for pattern, why, patience in _IMAGE_FAULTS:
        if re.search(pattern, told, re.IGNORECASE):
            # The first failure may pass; kubelet says ImagePullBackOff when it failed again.
            return said(why, Patience.SHORT if reason == "ErrImagePull" else patience)
    return said(f"{reason}, {words or 'no reason was given'}".rstrip("."), Patience.SHORT)


def _full(words: str) -> str:
    return words if words.endswith((".", "!")) else f"{words}."
