"""How far a node has come after its installation, and what keeps it, by what the API server shows: no I/O here.

The words that are looked for are those of Kubernetes 1.30 to 1.36 and of this launcher's log.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from launcher.connection import NOT_TRIED
from launcher.kubeapi import Tree

_SOON, _LATER, _LONG = 20.0, 60.0, 120.0
_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ErrImageInspect"}
_NOT_MADE = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_MOUNTS = {"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"}

Told = Mapping[str, Any]
"""What the launcher answers, by its routes: `readyz` as text, `connection`, `isolation`, … as trees."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps a node from coming online."""

    sentence: str
    patience: float = _LATER
    """Seconds for which it may pass by itself."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a node has come."""

    phase: str
    """In a few words, for somebody who waits."""
    trouble: Trouble | None = None
    online: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of a node's launcher and proxy at a time."""

    statefulset: Tree | None
    pods: Sequence[Tree] = ()
    """Of launcher and proxy."""
    events: Sequence[Tree] = ()
    """Of the namespace."""
    told: Told | None = None
    """What the launcher answers; None if it was not asked, or could not be."""


def step(seen: Seen) -> Step:
    """How far the node has come."""
    wanted = seen.statefulset
    pod = launcher(seen)
    if wanted is None or not _current(wanted, pod) or pod is None:
        refused = wanted and warning(seen.events, wanted, {"FailedCreate"})
        trouble = (
            Trouble(f"The launcher's pod can't be made: {words(refused.get('message'))}", _SOON) if refused else None
        )
        return Step("the launcher's pod is made", trouble)
    kept = held(pod, seen.events, "launcher")
    if kept is not None:
        return kept
    if seen.told is None:
        return Step("the launcher starts", _from_events(seen.events, pod), _online_by_events(seen.events, pod))
    return _by_its_own_words(seen)


def launcher(seen: Seen) -> Tree | None:
    """The launcher's pod."""
    found = [pod for pod in seen.pods if _component(pod) == "launcher"]
    return found[0] if found else None


def _component(thing: Tree) -> str:
    return str((thing["metadata"].get("labels") or {}).get("app.kubernetes.io/component", ""))


def _current(statefulset: Tree, pod: Tree | None) -> bool:
    """Whether the pod is of the StatefulSet as it is now, and not about to be replaced."""
    status, meta = statefulset.get("status") or {}, statefulset["metadata"]
    if pod is None or pod["metadata"].get("deletionTimestamp"):
        return False
    revision = (pod["metadata"].get("labels") or {}).get("controller-revision-hash")
    observed = status.get("observedGeneration", 0) >= meta.get("generation", 0)
    return bool(observed and revision == status.get("updateRevision"))


def held(pod: Tree, events: Sequence[Tree], container: str) -> Step | None:
    """Why the container does not run; None if it does."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            sentence = f"No machine of the cluster takes the {container}: {words(condition.get('message'))}"
            return Step("a machine is looked for", Trouble(sentence, _LATER))
    state = container_state(pod, container)
    if "running" in state:
        return None
    last = container_state(pod, container, "lastState").get("terminated") or {}
    waiting = state.get("waiting") or {}
    if "terminated" in state or waiting.get("reason") == "CrashLoopBackOff":
        return Step(f"the {container} ended", _ended(state.get("terminated") or last, container))
    return _not_started(pod, events, container, waiting)


def _not_started(pod: Tree, events: Sequence[Tree], container: str, waiting: Tree) -> Step:
    reason = waiting.get("reason") or ""
    if reason in _IMAGE:
        image = _image(pod, container)
        sentence = f"The image {image} can't be pulled: {words(waiting.get('message') or reason)}"
        return Step("images are pulled", Trouble(sentence, _SOON if reason != "ErrImagePull" else _LATER))
    if reason in _NOT_MADE:
        sentence = f"The {container}'s container can't be made: {words(waiting.get('message') or reason)}"
        return Step("the container is made", Trouble(sentence, _SOON))
    found = warning(events, pod, _MOUNTS)
    trouble = (
        Trouble(f"The {container}'s pod can't be set up: {words(found.get('message'))}", _LATER) if found else None
    )
    return Step("volumes are mounted and images are pulled", trouble)


def _ended(terminated: Tree, container: str) -> Trouble:
    """Why a container ended: its own last sentence, which kubelet keeps, where it left one."""
    said = last_sentence(terminated.get("message") or "")
    reason = terminated.get("reason") or f"exit code {terminated.get('exitCode')}"
    return Trouble(said or f"The {container} ended ({reason}); its log tells more.", 0.0 if said else _SOON)


def last_sentence(log: str) -> str:
    """The last line of a log of ours that is worse than a warning; empty if there is none."""
    for line in reversed(log.splitlines()):
        try:
            said = json.loads(line)
            if said["level"] in {"ERROR", "CRITICAL"}:
                return words(f"{said['event']} {said.get('reason', '')}")
        except (ValueError, KeyError, TypeError):
            continue
    return ""


def _by_its_own_words(seen: Seen) -> Step:
    told = seen.told or {}
    connection, isolation = told.get("connection") or {}, told.get("isolation") or {}
    if connection.get("online"):
        return Step("online", online=True)
    if "passed" not in isolation:
        # Before there is a gate: the API server, the job templates, or the vantage6 server are waited for.
        return Step(f"the node waits for {_waits_for(told)}", _offline(connection))
    if not isolation.get("open"):
        proxies = [pod for pod in seen.pods if _component(pod) == "proxy"]
        for proxy in proxies:
            if (kept := held(proxy, seen.events, "proxy")) and kept.trouble:
                return kept
        reason = isolation.get("reason", "")
        trouble = Trouble(words(reason), _LATER) if reason and isolation.get("checked_at") else None
        return Step("the isolation of algorithms is checked", trouble)
    return Step("the node connects to the server", _offline(connection))


def _offline(connection: Mapping[str, Any]) -> Trouble | None:
    """Why the launcher says that it is offline, once it tried to be online."""
    reason = connection.get("reason", "")
    return Trouble(words(reason), _LATER) if reason and reason != NOT_TRIED else None


def _waits_for(told: Told) -> str:
    waits = str(told.get("readyz", "")).strip()
    return "the vantage6 server" if waits in {"", "ready"} else waits


def container_state(pod: Tree, container: str, which: str = "state") -> Tree:
    """The state, or `lastState`, of a container; empty if there is none yet."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if status["name"] == container:
            return dict(status.get(which) or {})
    return {}


def _image(pod: Tree, container: str) -> str:
    return next((each["image"] for each in pod["spec"]["containers"] if each["name"] == container), "")


def moment(event: Tree) -> str:
    """When an Event happened last (RFC 3339, which sorts as text)."""
    meta = event["metadata"].get("creationTimestamp")
    return str(event.get("lastTimestamp") or event.get("eventTime") or meta or "")


def warning(events: Sequence[Tree], thing: Tree, reasons: set[str]) -> Tree | None:
    """The last warning on an object that is for one of these reasons."""
    uid = thing["metadata"].get("uid")
    found = [
        event
        for event in events
        if event.get("reason") in reasons and (event.get("involvedObject") or {}).get("uid") == uid
    ]
    return max(found, key=moment, default=None)


def said_of_itself(events: Sequence[Tree], pod: Tree, reasons: set[str]) -> Tree | None:
    """The last Event that this pod's launcher recorded for one of these reasons; earlier pods had the same name."""
    began = (container_state(pod, "launcher").get("running") or {}).get("startedAt") or ""
    name = pod["metadata"]["name"]
    found = [
        event
        for event in events
        if event.get("reason") in reasons
        and (event.get("involvedObject") or {}).get("name") == name
        and moment(event) >= began
    ]
    return max(found, key=moment, default=None)


def _online_by_events(events: Sequence[Tree], pod: Tree) -> bool:
    last = said_of_itself(events, pod, {"Online", "Offline"})
    return bool(last and last["reason"] == "Online")


def _from_events(events: Sequence[Tree], pod: Tree) -> Trouble | None:
    last = said_of_itself(events, pod, {"Online", "Offline", "IsolationFailed", "IsolationHolds"})
    bad = last and last["reason"] in {"Offline", "IsolationFailed"}
    return Trouble(words(last.get("message")), _LATER) if bad and last else None


def words(message: str | None) -> str:
    """A message as the end of a sentence."""
    text = " ".join((message or "no reason was given").split())
    return text if text.endswith((".", "!", "?")) else f"{text}."


class Patience:
    """Decides when a trouble has lasted long enough to be the end."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def exhausted(self, trouble: Trouble | None, now: float) -> bool:
        """Whether this trouble, seen again and again since it came up, has lasted longer than it may pass by itself.

        Args:
            trouble: what is seen now.
            now: a clock in seconds.
        """
        if trouble is None:
            self._since.clear()
            return False
        kind = trouble.sentence.partition(":")[0]
        since = self._since.setdefault(kind, now)
        self._since = {kind: since}
        return now - since >= trouble.patience
