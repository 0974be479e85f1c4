"""Where a run's time goes: the moments of its life, as different witnesses saw them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.percentiles import median
from benchmarks.sightings import SeenAtServer, SeenJob


@dataclass(frozen=True, slots=True)
class Stage:
    """What ends with a moment.

    Attributes:
        name: of the moment.
        whose: who spends the time until then: node, server, Kubernetes or algorithm.
        witness: who saw it.
    """

    name: str
    whose: str
    witness: str


STAGES = (
    Stage("event", "server", "recorder"),
    Stage("taken", "server", "recorder"),
    Stage("token", "server", "recorder"),
    Stage("files", "node", "algorithm"),
    Stage("created", "node", "watch"),
    Stage("scheduled", "Kubernetes", "watch"),
    Stage("started", "Kubernetes", "algorithm"),
    Stage("began", "algorithm", "algorithm"),
    Stage("ended", "algorithm", "algorithm"),
    Stage("noticed", "Kubernetes", "watch"),
    Stage("read", "node", "recorder"),
    Stage("delivered", "server", "recorder"),
    Stage("cleaned up", "Kubernetes", "watch"),
    Stage("files removed", "node", "launcher's log"),
)
"""In the order in which they come; the first is where time begins."""
MEANINGS = {
    "event": "the server tells of the task",
    "taken": "the server has noted that the node took the run",
    "token": "the server has given the algorithm's token",
    "files": "the run's input is written",
    "created": "the Job is seen",
    "scheduled": "its pod has a machine",
    "started": "its process starts",
    "began": "the algorithm's function is called: Python and its modules are loaded",
    "ended": "the function returns",
    "noticed": "Kubernetes shows that the container has ended",
    "read": "log and output are read: the delivery reaches the server",
    "delivered": "the server has answered",
    "cleaned up": "the Job and its pod are gone",
    "files removed": "the run's files are gone",
}


def moments(
    job: SeenJob, server: SeenAtServer, algorithm: Mapping[str, float], removed: float | None
) -> dict[str, float]:
    """When each stage of a run ended, in seconds after the event; what nobody saw is missing.

    Args:
        job: as the cluster's witness saw it.
        server: what its witness saw.
        algorithm: what the algorithm said: `files`, `started`, `began`, `ended`.
        removed: when the launcher said that the files are gone.
    """
    run_id, task_id = job.run_id, job.task_id
    if run_id is None or task_id is None or (event := server.told.get(task_id)) is None:
        return {}
    calls = server.of_run(run_id, task_id)
    taken = next((call for call in calls if call.method == "PATCH"), None)
    token = next((call for call in calls if call.path.endswith("/token/container")), None)
    delivery = server.delivery(run_id)
    seen = {
        "event": event,
        "taken": taken.answered if taken else None,
        "token": token.answered if token else None,
        **algorithm,
        "created": job.created,
        "scheduled": job.scheduled,
        "noticed": job.finished,
        "read": delivery.at if delivery else None,
        "delivered": delivery.answered if delivery else None,
        "cleaned up": job.gone,
        "files removed": removed,
    }
    found = {stage.name: seen.get(stage.name) for stage in STAGES}
    return {name: at - event for name, at in found.items() if at is not None}


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each moment over the runs in which it was seen."""
    seen = {stage.name: [run[stage.name] for run in runs if stage.name in run] for stage in STAGES}
    return {name: median(values) for name, values in seen.items() if values}


def bars(moments: Mapping[str, float]) -> list[tuple[Stage, float, float]]:
    """Each stage with its beginning and its end. A moment that was seen late does not begin after the next ended.

    Different witnesses saw them: two that are close together may be the wrong way round by some milliseconds.
    """
    found, before = [], 0.0
    for stage in STAGES[1:]:
        if stage.name in moments:
            after = max(moments[stage.name], before)
            found.append((stage, before, after))
            before = after
    return found
