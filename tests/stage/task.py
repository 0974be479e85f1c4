"""A task as the researcher who sent it follows it."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from vantage6.client import UserClient
from vantage6.common.task_status import has_task_finished

from tests.stage import StageError
from tests.stage.client import moment
from tests.stage.waiting import wait_until


class Task:
    """A task that a researcher sent."""

    def __init__(self, client: UserClient, id_: int) -> None:
        self.client = client
        self.id = id_

    def runs(self) -> list[dict[str, Any]]:
        """Return its runs as the client shows them (status, log, times, organization ...), by id."""
        answer = self.client.run.from_task(self.id)
        return sorted(answer["data"], key=lambda run: run["id"])

    def run(self) -> dict[str, Any]:
        """Return its only run."""
        (run,) = self.runs()
        return run

    def statuses(self) -> list[str]:
        return [run["status"] for run in self.runs()]

    def wait(self, seconds: float = 120, until: Callable[["Task"], bool] | None = None) -> "Task":
        """Wait until every run is finished, or until `until(task)`.

        Raises:
            StageError: it took longer than `seconds`; the message says how far the runs were.
        """
        condition = until or Task.finished
        wait_until(lambda: condition(self), seconds, lambda: f"task {self.id} has runs {self._describe()}")
        return self

    def finished(self) -> bool:
        return all(run["finished_at"] and has_task_finished(run["status"]) for run in self.runs())

    def results(self) -> list[Any]:
        """Return what the runs returned, as Python objects, in the order of their runs.

        Raises:
            StageError: a run did not complete; the message holds its log.
        """
        failed = [run for run in self.runs() if run["status"] != "completed"]
        if failed:
            logs = "\n".join(f"run {run['id']} {run['status']}:\n{run['log']}" for run in failed)
            raise StageError(f"Task {self.id} did not complete.\n{logs}")
        return [json.loads(self.client.result.get(run["id"])) for run in self.runs()]

    def result(self) -> Any:
        """Return what its only run returned."""
        (result,) = self.results()
        return result

    def created(self) -> datetime:
        """Return when the server made it. (Not a run's `assigned_at`: server 4.15 fills in its own start there.)"""
        return moment(self.client.task.get(self.id)["created_at"])

    def children(self) -> list[int]:
        """Return the ids of the tasks that its runs created."""
        answer = self.client.task.list(parent=self.id)
        return sorted(each["id"] for each in answer["data"])

    def _describe(self) -> str:
        return "; ".join(f"{run['id']} {run['status']} (finished_at {run['finished_at']})" for run in self.runs())
