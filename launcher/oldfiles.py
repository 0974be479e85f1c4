"""Files on the task volume that no run needs any more, removed when their time is over."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from pathlib import Path

from launcher.config.kubernetes import Retention
from launcher.taskfiles import TaskFiles
from launcher.volume import remove_tree

log = logging.getLogger(__name__)

_SWEEP_EVERY = 3600.0


class OldFiles:
    """What ended runs and earlier nodes left.

    Args:
        root: where the volume is mounted.
        files: knows which directories are this node's.
    """

    def __init__(self, root: Path, files: TaskFiles) -> None:
        self._root = root
        self._files = files

    async def sweep(
        self, retention: Retention, tmp_in_use: Callable[[], set[str]], with_job: Callable[[], Collection[int]]
    ) -> None:
        """Now and then remove what no job needs any more, for ever.

        Args:
            retention: how long what is kept.
            tmp_in_use: sub-paths of shared directories that runs use.
            with_job: runs that have a Job, whoever's it is.
        """
        while True:
            try:
                await asyncio.to_thread(self.remove_tmp, retention.tmpHours * 3600, tmp_in_use())
                await asyncio.to_thread(self.remove_logs, retention.logHours * 3600)
                if retention.strangerHours is not None:
                    await asyncio.to_thread(self.remove_strangers, retention.strangerHours * 3600, with_job())
            except OSError as error:
                log.warning("old files can't be removed", extra={"fields": {"reason": str(error)}})
            await asyncio.sleep(_SWEEP_EVERY)

    def remove_logs(self, older_than: float) -> None:
        """Remove the logs of runs that ended more than `older_than` seconds ago."""
        for directory in (self._root / "logs").glob("*"):
            if time.time() - directory.lstat().st_mtime > older_than:
                remove_tree(directory)

    def remove_strangers(self, older_than: float, in_use: Collection[int]) -> None:
        """Remove directories that are of no run of this node, and in which nothing was changed lately.

        Another node's, which this one was before it was registered anew; and those that a crash left without a record.

        Args:
            older_than: seconds since the last change.
            in_use: runs that have a Job, whoever's it is.

        Raises:
            OSError: something is left.
        """
        for directory in (self._root / "runs").glob("*"):
            number = directory.name.partition("-")[0]
            if directory.is_symlink() or not directory.is_dir() or (number.isdecimal() and int(number) in in_use):
                continue
            if not self._files.is_own(directory) and time.time() - _last_change(directory) > older_than:
                log.warning("an old directory of no run of this node is removed", extra={"fields": {"path": directory}})
                remove_tree(directory)

    def remove_tmp(self, older_than: float, in_use: set[str]) -> None:
        """Remove the shared directories of jobs whose last run started more than `older_than` seconds ago.

        Args:
            older_than: seconds.
            in_use: sub-paths that running pods have mounted.
        """
        for directory in (self._root / "jobs").glob("*"):
            old = time.time() - directory.lstat().st_mtime > older_than
            if old and str(directory.relative_to(self._root)) not in in_use:
                remove_tree(directory)


def _last_change(directory: Path) -> float:
    """When something was changed last in a directory, down to the run's own files."""
    found = [directory, *directory.glob("*"), *directory.glob("log/*"), *directory.glob("data/*")]
    return max(path.lstat().st_mtime for path in found)
