"""From a run to the Job that executes it: what only the cluster knows is looked up, the manifest made and checked."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from launcher.approval import Approved
from launcher.cluster import CHECK_LABEL
from launcher.destinations import Destinations
from launcher.jobcontext import RunFacts
from launcher.jobmarks import CHECK_GRANTED, GRANTED, capability, ownership
from launcher.manifests import Manifests
from launcher.profiles import choose, facts
from launcher.runcontext import NAME, run_context
from launcher.runs import Run


class Launch:
    """Makes the manifests of this node's runs, with the ways opened that they need.

    Args:
        manifests: makes them of what is known.
        destinations: looks up what algorithms may reach.
    """

    def __init__(self, manifests: Manifests, destinations: Destinations) -> None:
        self._manifests = manifests
        self._config = manifests.config
        self._identity = manifests.identity
        self._destinations = destinations

    async def manifest(self, run: Run, approved: Approved) -> dict[str, Any]:
        """The checked manifest of a run's Job, which runs what was approved.

        Raises:
            UnknownDatabase: the task asks for a database that the node does not have.
            TemplateError: the template can't be rendered.
            InvariantError: it renders to something that is not allowed.
            Unresolved: a database's host has no address that may be used.
            ClusterUnavailable, ApiRefusal: the way to a database can't be opened.
            OSError: the proxy's name does not resolve.
        """
        chosen = choose(self._config.kubernetes.jobs, facts(self._config, run, approved.ref)).profile
        aliases = await self._destinations.open(run)
        return self._manifests.checked(self._manifests.approved_context(run, approved, aliases, chosen))

    async def check_manifest(self, name: str, run: Run, kind: str) -> dict[str, Any]:
        """The manifest of a check: what an algorithm gets, by the same template and the same policies.

        It carries no run id, so nobody takes it for a run. It is one that no rule on profiles holds for, and it takes
        no GPU, since it would have to wait for one.

        Args:
            name: of the Job.
            run: `CHECK`, `CHECK_GRANTED`, or a run like it that asks for databases in files.
            kind: what is checked, for the Job's label.

        Raises:
            TemplateError, InvariantError, OSError: as for a run.
        """
        image = self._config.kubernetes.isolation.image
        usual = self._config.kubernetes.jobs.defaultProfile
        context = self._manifests.context(run, await self._destinations.own_aliases(), usual, gpu=False)
        granted = self.every_capability if run is CHECK_GRANTED else {}
        return self._manifests.checked(
            replace(
                context,
                run=RunFacts(run.id, name, {CHECK_LABEL: kind}, context.run.annotations),
                image=replace(context.image, ref=image.ref, pull_policy=image.pullPolicy),
                isolation=replace(context.isolation, labels={**context.isolation.labels, **granted}),
            )
        )

    @property
    def every_capability(self) -> dict[str, str]:
        """The labels that open the ways to all of the node's databases."""
        return {capability(place.label): GRANTED for place in self._config.kubernetes.databases if place.reach}

    async def moved(self, run: Run, job: Mapping[str, Any]) -> str:
        """A sentence on hosts that moved away from a run's algorithm while it ran, or nothing."""
        return await self._destinations.moved(run, job)

    def further_files(self, run: Run, content: bytes) -> dict[str, bytes]:
        """What a run finds beside its input, by name.

        Raises:
            NoRunContext, UnknownDatabase: the run can't be described.
        """
        if not self._config.node.run_context_file:
            return {}
        return {NAME: run_context(self._config, self._identity, run, content)}

    def is_ours(self, job: Mapping[str, Any], run: Run | None) -> bool:
        """Whether a Job belongs to this server's and node's run (of that time of assignment, where it is known)."""
        annotations = job["metadata"].get("annotations") or {}
        expected = ownership(self._identity, run)
        return all(annotations.get(key) == value for key, value in expected.items())
