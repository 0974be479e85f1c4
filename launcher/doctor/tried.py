"""What became of the doctor's Jobs, and what that says of images and admission: no I/O here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from launcher.admin.progress import Trouble, container_state, held, warning, words
from launcher.doctor.findings import Finding, fail, ok, warn
from launcher.doctor.probes import CLOSED, CONTAINER, FREE, OPEN, SHUT, VOLUME
from launcher.doctor.wishes import Wishes
from launcher.kubeapi import Tree

_PULLED_SINCE = {"running", "terminated"}
_TRIED_AGAIN = 20.0  # seconds in which a Job's controller makes a pod again that was refused


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of the Jobs."""

    pods: Mapping[str, Tree] = field(default_factory=dict)
    """Their pods by part, as the API server showed them last."""
    events: Sequence[Tree] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    """Parts that could not be made, and the API server's words."""
    jobs: Mapping[str, Tree] = field(default_factory=dict)
    """Parts that were made."""

    def answer(self, part: str) -> Tree:
        """What a pod told."""
        ended = container_state(self.pods.get(part) or {}, CONTAINER).get("terminated") or {}
        try:
            read = json.loads(ended.get("message") or "")
        except ValueError:
            return {}
        return read if isinstance(read, dict) else {}

    def begun(self, part: str) -> bool:
        """Whether it was tried at all."""
        return any(part in known for known in (self.pods, self.refused, self.jobs))

    def kept(self, part: str) -> Trouble | None:
        """What keeps a pod from running; None if nothing is known that does."""
        pod, job = self.pods.get(part), self.jobs.get(part)
        if pod is not None:
            step = held(pod, self.events, CONTAINER)
            return step.trouble if step else None
        refused = job and warning(self.events, job, {"FailedCreate"})
        said = words((refused or {}).get("message")).removeprefix("Error creating: ")
        return Trouble(f"Its pod can't be made: {said}", _TRIED_AGAIN) if refused else None

    def trouble(self, part: str) -> str:
        """Why a pod did not tell anything."""
        if part in self.refused:
            return words(self.refused[part])
        if not self.begun(part):
            return "It was not made."
        ended = container_state(self.pods.get(part) or {}, CONTAINER).get("terminated") or {}
        if ended:
            return words(
                f"It ended with exit code {ended.get('exitCode')}: {ended.get('message') or ended.get('reason')}"
            )
        kept = self.kept(part)
        return kept.sentence if kept else "It did not get done in time."

    def pulled(self, part: str) -> bool:
        """Whether the pod's image came."""
        return bool(_PULLED_SINCE & container_state(self.pods.get(part) or {}, CONTAINER).keys()) or (
            (container_state(self.pods.get(part) or {}, CONTAINER).get("waiting") or {}).get("reason")
            in {"RunContainerError", "CreateContainerError"}
        )


def admission(answer: str | None, namespace: str) -> Finding:
    """Whether the node's namespace admits pods like the node's.

    Args:
        answer: the API server's words where it refused one that was only a rehearsal; None: it did not.
        namespace: its name.
    """
    check = "admission"
    if answer is None:
        return ok(check, f"Namespace {namespace} admits pods like the node's.")
    if "cannot create resource" in answer:
        return warn(
            check, f"Whether namespace {namespace} admits the node's pods is not known: {words(answer)}", "see rights"
        )
    remedy = (
        "have the quota, limit or admission rule that it names changed, or install the node elsewhere (--namespace)"
    )
    return fail(check, f"Namespace {namespace} does not admit pods like the node's: {words(answer)}", remedy)


def images(wishes: Wishes, tried: Tried) -> list[Finding]:
    """Whether the cluster gets the node's images."""
    parts = {0: (FREE,), 1: (OPEN, CLOSED, SHUT, VOLUME)}
    findings = []
    for number, image in enumerate(wishes.images):
        users = parts.get(number, (f"image-{image.what.partition('.')[0]}",))
        if any(tried.pulled(part) for part in users):
            findings.append(ok("images", f"{image.ref} ({image.what}) can be pulled."))
            continue
        seen = [part for part in users if tried.begun(part)]
        why = tried.trouble(seen[0]) if seen else "It was not tried."
        if "can't be pulled" in why:
            remedy = (
                f"push it to a registry that the cluster reaches, correct {image.what} in the values, or give the "
                "registry's credentials with imagePullSecrets"
            )
            findings.append(fail("images", f"{image.what}: {why}", remedy))
        else:
            findings.append(warn("images", f"Whether {image.ref} can be pulled is not known: {why}", "see that first"))
    return findings
