"""What is wrong with a run, by those who saw it from outside: server, recorder, witness, volume; never by our log."""

import base64
import contextlib
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from tests.faults.site import FaultySite, Sent, Volume


def complaints(site: FaultySite, sent: Sent, volume: Volume) -> list[str]:
    """Everything that is wrong with a run that should be over; empty if it is as if nothing had happened to it.

    Args:
        site: where it ran.
        sent: the run.
        volume: as it is now.
    """
    return [*_end(site, sent), *_executions(site, sent, volume), *_left(sent, volume)]


def _end(site: FaultySite, sent: Sent) -> Iterator[str]:
    run = sent.task.run()
    if run["status"] != sent.wanted.status or not run["finished_at"]:
        yield f"it is {run['status']} (finished_at {run['finished_at']}), not {sent.wanted.status}: {run['log']}"
    accepted = [exchange.body for exchange in site.recorder.deliveries(sent.run)]
    # A run that a researcher kills is closed by the server itself.
    statuses = [] if sent.wanted.killed else [sent.wanted.status]
    if [body["status"] for body in accepted] != statuses:
        yield f"the server accepted {[body['status'] for body in accepted]}, not {statuses}"
    if sent.wanted.status == "completed":
        right = digest(json.dumps({"executions": 1, "run": sent.mark}).encode())
        for where, found in (
            ("the researcher has", digest(str(sent.task.client.result.get(sent.run)).encode())),
            *(("the server was told", digest(base64.b64decode(body["result"]))) for body in accepted),
        ):
            if found != right:
                yield f"{where} a result of digest {found[:12]}, not {right[:12]}"


def digest(text: bytes) -> str:
    """The SHA-256 of a JSON text, however it was spaced."""
    with contextlib.suppress(ValueError):  # then that is what is wrong with it
        text = json.dumps(json.loads(text), sort_keys=True).encode()
    return hashlib.sha256(text).hexdigest()


def _executions(site: FaultySite, sent: Sent, volume: Volume) -> Iterator[str]:
    executions = volume.marks.get(sent.mark, 0)
    # Who is killed as soon as it runs may not have come to leave its mark.
    if executions != 1 and not (sent.wanted.killed and executions == 0):
        yield f"it was executed {executions} times"
    for kind in ("Job", "Pod"):
        if (seen := len(site.witness.of_run(sent.run, kind))) != 1:
            yield f"it had {seen} {kind}s"


def _left(sent: Sent, volume: Volume) -> Iterator[str]:
    for kind in ("runs", "logs"):
        for folder in getattr(volume, kind):
            if folder.partition("-")[0] == str(sent.run):
                yield f"left on the volume: {kind}/{folder}"


def left_behind(site: FaultySite, volume: Volume) -> list[str]:
    """What is in the namespace and on the volume beyond what was there before the first run, and what fell over."""
    found: list[str] = []
    now: dict[str, Any] = site.objects()
    for kind, names in now.items():
        if names != site.belongings[kind]:
            found.append(f"{kind}: {names}, before it was {site.belongings[kind]}")
    if volume.runs or volume.logs:
        found.append(f"the volume has runs {volume.runs} and logs {volume.logs}")
    if falls := site.launcher_falls():
        found.append(f"the launcher fell {falls} times by itself")
    found += [f"the launcher says {event}" for event in site.node.launcher_events() if "exception" in event]
    return found
