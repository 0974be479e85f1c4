"""Jobs of the diagnostics algorithm: run like any algorithm, by the same template, rules and policies, but no runs."""

import asyncio
import json
import secrets
from typing import Any

from launcher.cluster import Cluster
from launcher.diagnosis import job_state, outcome
from launcher.kubeapi import Tree
from launcher.launch import Launch
from launcher.runs import JobState, Run
from launcher.taskfiles import TaskFiles
from launcher.waiting import waiting

_PATIENCE = 120.0
_LOOK_EVERY = 0.2
_MOST_BYTES = 2**20


class NotRunnable(Exception):  # noqa: N818
    """The check could not be carried out, so nothing is known of what it is about."""


class CheckJobs:
    """Carries calls of the diagnostics algorithm out.

    Args:
        cluster: where the Jobs are made.
        files: the task volume.
        launch: makes the Jobs' manifests.
        kind: value of their label: Jobs of another kind are left alone.
    """

    def __init__(self, cluster: Cluster, files: TaskFiles, launch: Launch, kind: str) -> None:
        self._cluster = cluster
        self._files = files
        self._launch = launch
        self._kind = kind

    async def start(self, run: Run, method: str, *arguments: Any) -> str:
        """Have a method called; returns the name of the Job.

        Args:
            run: of no server; says where the files are and which databases are mounted.
            method: of the diagnostics algorithm.
            arguments: of the method, as JSON can hold them.

        Raises:
            TemplateError, InvariantError, ApiRefusal, ClusterUnavailable, OSError: it can't be started.
        """
        task = {"method": method, "args": arguments, "kwargs": {}}
        await asyncio.to_thread(self._files.prepare, run, json.dumps(task).encode(), "")
        name = f"{self._kind}-check-{secrets.token_hex(4)}"
        job = await self._cluster.create_check(await self._launch.check_manifest(name, run, self._kind))
        return str(job["metadata"]["name"])

    async def answer(self, name: str, run: Run, patience: float = _PATIENCE) -> bytes:
        """What the method returned, as JSON.

        Raises:
            NotRunnable: it failed, or did not end within `patience` seconds.
            OutputError: it left nothing that can be read.
        """
        await self._ended(name, patience)
        return await asyncio.to_thread(self._files.read_output, run, _MOST_BYTES)

    async def clean_up(self, run_ids: list[int]) -> None:
        """Remove what these runs left, and all Jobs of this kind.

        Raises:
            ClusterUnavailable, ApiRefusal, OSError: something is left.
        """
        await self._cluster.delete_checks(self._kind)
        for run_id in run_ids:
            await asyncio.to_thread(self._files.remove, run_id)

    async def _ended(self, name: str, patience: float) -> None:
        pod: Tree | None = None
        job: Tree = {"metadata": {}}
        try:
            async with asyncio.timeout(patience):
                while True:
                    job, pod = await self._cluster.look_at_check(name)
                    if job_state(job, pod) is JobState.FINISHED:
                        break
                    await asyncio.sleep(_LOOK_EVERY)
        except TimeoutError:
            why = waiting(job, pod, await self._cluster.warning_on(pod or job))
            sentence = f"The diagnostics algorithm (isolation.image) did not end within {patience:.0f} seconds."
            raise NotRunnable(f"{why.sentence} {sentence}" if why else sentence) from None
        end = outcome(job, pod)
        if end and end.failed:
            raise NotRunnable(f"The diagnostics algorithm failed. {end.sentence}")
