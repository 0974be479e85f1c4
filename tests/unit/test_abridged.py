"""Whoever reads a Job or pod of which little was kept reads the same as in the whole one."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import orjson
import pytest

from launcher import abridged, audit, destinations, diagnosis, loghints, progress, waiting
from launcher.mirror import name, run_id
from tests.unit.changed_job import rendered
from tests.unit.example_context import context

OURS = {"v6-node.vantage6.ai/run": "12"}
FACTS = {"image": "ghcr.io/example/average:1", "profile": "gpu"}


def examples() -> tuple[dict[str, Any], dict[str, Any]]:
    """A Job as the API server shows it, held back by a queue and about to be deleted; its pod, over its deadline."""
    run = replace(
        context().run,
        queue="algorithms",
        annotations=OURS | {audit.ANNOTATION: orjson.dumps(FACTS).decode()},
    )
    job = rendered(context(run=run))
    grown = {"uid": "1b", "generation": 3, "creationTimestamp": "2026-03-01T10:00:00Z", "managedFields": [{}]}
    job["metadata"] |= {**grown, "deletionTimestamp": "2026-03-01T11:00:00Z"}
    job["status"] = {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}], "ready": 1}
    pod = deepcopy(job["spec"]["template"])
    pod["metadata"] |= {**grown, "name": "run-12-abcde", "ownerReferences": [{"uid": "1b"}]}
    terminated = {"exitCode": 137, "reason": "OOMKilled", "startedAt": "2026-03-01T10:00:01Z"}
    statuses = [{"name": "algorithm", "state": {"terminated": terminated}}]
    pod["status"] = {"phase": "Failed", "containerStatuses": statuses}
    return job, pod


JOB, POD = examples()
POD["spec"]["initContainers"] = [{"name": "logs", "restartPolicy": "Always"}, {"name": "data"}]
HELD = {"initContainerStatuses": [{"name": each, "state": {"running": {}}} for each in ("logs", "data")]}
LATE = POD | {"status": {"phase": "Failed", "reason": "DeadlineExceeded"}}
Reader = Callable[[dict[str, Any], dict[str, Any]], Any]
READERS: dict[str, Reader] = {
    "whose it is": lambda job, pod: (run_id(job), name(job), run_id(pod), name(pod), job["metadata"]["uid"]),
    "that it is ours": lambda job, pod: job["metadata"]["annotations"].items() >= OURS.items(),
    "what the audit says": lambda job, pod: audit.of_job(job),
    "its state": diagnosis.job_state,
    "how much memory it had": lambda job, pod: diagnosis.outcome(job, pod).sentence,
    "how long it might run": lambda job, pod: diagnosis.outcome(job, pod | {"status": LATE["status"]}).sentence,
    "that its queue took it back": lambda job, pod: diagnosis.outcome(job, None).sentence,
    "its queue": lambda job, pod: waiting.queue_of(job),
    "that it is held back": lambda job, pod: waiting.waiting(job, None, None),
    "that the site's own container holds it up": lambda job, pod: waiting.waiting(job, pod | {"status": HELD}, None),
    "its names of addresses": lambda job, pod: destinations._given(job),
    "its databases": lambda job, pod: loghints._databases(pod),
    "when it began": lambda job, pod: progress._began(pod),
}


@pytest.mark.parametrize("what", READERS)
def test_what_is_kept_says_what_the_whole_says(what: str) -> None:
    read = READERS[what]
    found = read(abridged.job(JOB), abridged.pod(POD))
    assert found == read(JOB, POD)
    assert found, "the example says nothing of it"


def test_little_is_kept() -> None:
    kept, whole = ([len(orjson.dumps(each)) for each in pair] for pair in zip(*pairs(), strict=True))
    assert sum(kept) < sum(whole) / 3


def pairs() -> list[tuple[Any, Any]]:
    return [(abridged.job(JOB), JOB), (abridged.pod(POD), POD)]


def test_nothing_is_made_up() -> None:
    bare = {"metadata": {"name": "run-1", "labels": {"v6-node.vantage6.ai/run-id": "1"}}}
    for short in (abridged.job(bare), abridged.pod(bare)):
        assert (run_id(short), short["status"]) == (1, {})
