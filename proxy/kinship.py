"""Which tasks, runs and blobs are an algorithm's: asked of the server, with the algorithm's own token.

What the server once said stays true (a task's parent, a run's task), so it is remembered, and of use to everybody: the
request itself still goes to the server with the token of who makes it.
"""

from collections import OrderedDict
from typing import Any

from aiohttp import web

from proxy.bearer import Container
from proxy.forward import Forwarder
from proxy.refusal import Refusal

_REMEMBERED = 20_000
_PAGE = 100


class Kinship:
    """Tells an algorithm's own tasks and runs from others.

    Args:
        forwarder: asks the server.
    """

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._parents: OrderedDict[int, int | None] = OrderedDict()
        self._tasks_of_runs: OrderedDict[int, int] = OrderedDict()
        self._tasks_of_blobs: OrderedDict[str, int] = OrderedDict()

    async def check_task(self, request: web.Request, container: Container, task: int) -> None:
        """Let through the algorithm's own task and those that it created.

        Raises:
            Refusal: 403 if it is another; the server's own answer if it does not tell.
        """
        if task == container.task_id:
            return
        if task not in self._parents:
            answer = await self._forwarder.ask(request, f"/task/{task}")
            parent = answer.get("parent")
            _remember(self._parents, task, parent.get("id") if isinstance(parent, dict) else None)
        if self._parents[task] != container.task_id:
            raise Refusal(
                403, f"Task {task} is neither this algorithm's own task ({container.task_id}) nor one that it created."
            )

    async def check_run(self, request: web.Request, container: Container, run: int) -> None:
        """Let through the runs of the algorithm's own task and of those that it created.

        Raises:
            Refusal: as `check_task`.
        """
        if run not in self._tasks_of_runs:
            task = (await self._forwarder.ask(request, f"/run/{run}")).get("task")
            number = task.get("id") if isinstance(task, dict) else None
            if type(number) is not int:
                raise Refusal(403, f"The server does not say which task run {run} is of, so it is not given out.")
            _remember(self._tasks_of_runs, run, number)
        await self.check_task(request, container, self._tasks_of_runs[run])

    async def check_blob(self, request: web.Request, container: Container, blob: str) -> None:
        """Let through the results of tasks that the algorithm created.

        Raises:
            Refusal: 403 if it is nothing of that kind; the server's own answer if it does not tell.
        """
        wanted = blob.lower()
        if self._tasks_of_blobs.get(wanted) == container.task_id:
            return
        # The newest first: an algorithm asks for the results of the task it created last.
        children = {"parent_id": str(container.task_id), "sort": "-id"}
        async for task in self._forwarder.pages(request, "/task", children, _PAGE):
            if type(task.get("id")) is not int:
                continue
            async for result in self._forwarder.pages(request, "/result", {"task_id": str(task["id"])}, _PAGE):
                if result.get("blob_storage_used") and isinstance(result.get("result"), str):
                    _remember(self._tasks_of_blobs, result["result"].lower(), container.task_id)
            if self._tasks_of_blobs.get(wanted) == container.task_id:
                return
        raise Refusal(403, f"Blob {blob} is no result of a task that this algorithm created.")


def _remember(known: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    known[key] = value
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
