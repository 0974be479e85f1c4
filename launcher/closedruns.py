"""Runs that were closed lately.

A list of open runs is as old as the question for it, and a busy server takes seconds for each of its pages: what was
closed and cleaned up meanwhile may still be in it. To take such a run up again would be refused by the server, but only
after a call for each.
"""

import asyncio

from launcher.runs import Run

_REMEMBERED = 120.0


class ClosedRuns:
    """The runs that were closed in the last two minutes, each as it was assigned: started anew it is another one."""

    def __init__(self) -> None:
        self._closed: dict[tuple[int, str], float] = {}

    def add(self, run: Run) -> None:
        """Remember a run."""
        now = asyncio.get_running_loop().time()
        self._closed.pop((run.id, run.assigned_at), None)  # the eldest come first
        self._closed[run.id, run.assigned_at] = now
        for key, since in list(self._closed.items()):
            if now - since <= _REMEMBERED:
                break
            del self._closed[key]

    def __contains__(self, run: Run) -> bool:
        since = self._closed.get((run.id, run.assigned_at))
        return since is not None and asyncio.get_running_loop().time() - since <= _REMEMBERED
