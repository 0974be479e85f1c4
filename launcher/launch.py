"""From a run to the Job that executes it: the facts gathered, the template rendered, the result checked."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from launcher.algorithmenv import PROXY_HOST, data_path, environment, requested, secret_environment
from launcher.approval import Approved
from launcher.audit import annotation
from launcher.cluster import CHECK_LABEL
from launcher.config import NodeConfig
from launcher.destinations import Destinations
from launcher.invariants import InvariantError, Selecting, check
from launcher.jobcontext import (
    CollaborationFacts,
    Context,
    DatabaseMount,
    Files,
    HostAlias,
    ImageFacts,
    Isolation,
    NodeFacts,
    OrganizationFacts,
    RunFacts,
    TaskFacts,
)
from launcher.layout import LAYOUTS
from launcher.profiles import NONE, choose, composed, facts, settings
from launcher.runcontext import NAME, run_context
from launcher.runs import PREFIX, RequestedDatabase, Run
from launcher.session import Identity
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates, TemplateError

PROFILE = f"{PREFIX}/profile"
"""The annotation that says which profile a Job has."""
GRANTED = "granted"
"""The value of every label that opens a way."""
NOBODY = Identity(server="", node_id=0, name="", organization_id=0, collaboration_id=0)
"""Who the node is before it logged in: enough to rehearse."""
CHECK = Run(
    id=0,
    task_id=0,
    job_id=0,
    parent_id=None,
    image="",
    task_name="isolation check",
    organization_id=0,
    collaboration_id=0,
    init_organization_id=0,
    init_user_id=None,
    databases=(),
    assigned_at="1970-01-01T00:00:00",
)
"""What is executed to try the isolation, and to rehearse: a run of no server, whose runs count from 1."""
CHECK_GRANTED = replace(CHECK, assigned_at="1970-01-01T00:00:01")
"""The same, let through to every database: policies add up, and one may select only those who asked for something."""


class Launch:
    """Makes the manifests of this node's runs.

    Args:
        config: the node's configuration.
        templates: the job templates.
        files: the task volume.
        identity: who the node is.
        owner_uid: uid of the algorithms' service account, which owns every Job.
        destinations: looks up what algorithms may reach.
        selecting: names the NetworkPolicies that select a pod with given labels.
    """

    def __init__(
        self,
        config: NodeConfig,
        templates: JobTemplates,
        files: TaskFiles,
        identity: Identity,
        *,
        owner_uid: str,
        destinations: Destinations,
        selecting: Selecting,
    ) -> None:
        self._config = config
        self._layout = LAYOUTS[config.kubernetes.protocol]
        self._templates = templates
        self._files = files
        self._identity = identity
        self._owner_uid = owner_uid
        self._destinations = destinations
        self._selecting = selecting

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
        context = self.context(run, await self._destinations.open(run), chosen)
        annotations = {**context.run.annotations, **annotation(run, approved.rule, chosen)}
        return self._render(
            replace(
                context,
                run=replace(context.run, annotations=annotations),
                image=replace(context.image, ref=approved.ref),
            )
        )

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
        context = self.context(run, await self._destinations.own_aliases(), usual, gpu=False)
        granted = self.every_capability if run is CHECK_GRANTED else {}
        return self._render(
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

    def _render(self, context: Context) -> dict[str, Any]:
        rendering = self._templates.rendering(self.template(context.profile.name), context)
        check(rendering.manifest, context, self._selecting, rendering.rendered.place_of)
        return rendering.manifest

    def template(self, profile: str) -> str:
        """Name of the job template that runs with a profile get."""
        return settings(self._config.kubernetes.jobs, profile).template or self._layout.template

    def rehearse(self) -> None:
        """Make the manifests of made-up runs that ask for every database, so that faults show at start.

        There is one without a profile, and one with each.

        Raises:
            TemplateError: a template can't be rendered, or one of the administrator's is used by nothing.
            InvariantError: one renders to something that is not allowed.
        """
        jobs = self._config.kubernetes.jobs
        for name, profile in jobs.profiles.items():
            if profile.template and not self._templates.has(profile.template):
                raise TemplateError(
                    f"jobs.profiles.{name}.template: no template is called {profile.template!r}; there are "
                    f"{', '.join(self._templates.names())}, and those of jobs.templates."
                )
        usual = [layout.template for layout in LAYOUTS.values()]
        self._templates.refuse_ignored([*usual, *(self.template(name) for name in jobs.profiles)])
        databases = tuple(RequestedDatabase(database.label) for database in self._config.node.databases)
        run = replace(CHECK, databases=databases)
        for name in (NONE, *jobs.profiles):
            context = self.context(run, (HostAlias("192.0.2.1", (PROXY_HOST,)),), name)
            try:
                self._render(context)
            except TemplateError as error:
                raise TemplateError(f"{_whose(name)}{error}") from error
            except InvariantError as error:
                raise InvariantError(error.violations, _whose(name)) from error

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

    def context(self, run: Run, aliases: tuple[HostAlias, ...], profile: str = NONE, *, gpu: bool = True) -> Context:
        """Everything that the template of a run may use.

        Args:
            run: what is executed.
            aliases: the names that resolve in its pod.
            profile: name of the profile that it gets.
            gpu: whether it gets that profile's GPUs.
        """
        further = settings(self._config.kubernetes.jobs, profile).env
        which = {PROFILE: profile} if profile else {}
        kubernetes = self._config.kubernetes
        return Context(
            run=RunFacts(run.id, run.name, run_labels(run), {**ownership(self._identity, run), **which}),
            task=TaskFacts(
                id=run.task_id,
                name=run.task_name,
                job_id=run.job_id,
                image=run.image,
                # Kubernetes replaces $(NAME) in arguments, and makes $$ one $.
                arguments=tuple(argument.replace("$", "$$") for argument in run.arguments),
            ),
            organization=OrganizationFacts(run.organization_id),
            collaboration=CollaborationFacts(run.collaboration_id),
            image=ImageFacts(run.image, kubernetes.jobs.imagePullPolicy, kubernetes.imagePullSecrets),
            env=environment(self._config, run, further),
            secret_env=secret_environment(self._config, run, further),
            databases=self._databases(run),
            files=Files(
                claim=kubernetes.taskVolume.claim,
                data_sub_path=f"{self._files.sub_path(run)}/data",
                data_mount_path=data_path(run),
                tmp_sub_path=self._files.tmp_sub_path(run),
                tmp_mount_path=self._layout.tmp_path,
                output_sub_path=run.output_directory,
                output_mount_path=self._layout.output_path,
            ),
            profile=composed(kubernetes.jobs, profile, gpu=gpu),
            isolation=Isolation(
                labels={f"{PREFIX}/role": "algorithm", **self._capabilities(run)},
                host_aliases=aliases,
                service_account=kubernetes.algorithmServiceAccount,
            ),
            node=NodeFacts(
                namespace=kubernetes.namespace,
                owner={
                    "apiVersion": "v1",
                    "kind": "ServiceAccount",
                    "name": kubernetes.algorithmServiceAccount,
                    "uid": self._owner_uid,
                },
            ),
        )

    def _databases(self, run: Run) -> tuple[DatabaseMount, ...]:
        mounts = []
        for database, _ in requested(self._config.node, run):
            place = self._config.kubernetes.place_of(database.label)
            if place.claim:
                path = self._layout.database_path(database)
                mounts.append(DatabaseMount(database.label, place.claim, place.subPath, path))
        return tuple(dict.fromkeys(mounts))  # a label may be asked for twice

    def _capabilities(self, run: Run) -> dict[str, str]:
        """The labels by which NetworkPolicies let a run's pod through: to the databases that its task asked for."""
        kubernetes = self._config.kubernetes
        labels = [database.label for database, _ in requested(self._config.node, run)]
        opened = {capability(label): GRANTED for label in labels if kubernetes.place_of(label).reach}
        return opened | ({f"{PREFIX}/whitelist": GRANTED} if kubernetes.egress else {})


def capability(label: str) -> str:
    """The pod label that opens the way to a database. A label's name is compared whole, so no prefix of it opens."""
    return f"{PREFIX}/database.{label.lower()}"


def ownership(identity: Identity, run: Run | None) -> dict[str, str]:
    """The annotations that say whose a Job is."""
    owner = {f"{PREFIX}/server": identity.server, f"{PREFIX}/node-id": str(identity.node_id)}
    return owner if run is None else {**owner, f"{PREFIX}/assigned-at": run.assigned_at}


def run_labels(run: Run) -> dict[str, str]:
    """The labels that say which run a Job is of."""
    numbers = {
        "run-id": run.id,
        "task-id": run.task_id,
        "organization-id": run.organization_id,
        "collaboration-id": run.collaboration_id,
    }
    return {f"{PREFIX}/{name}": str(number) for name, number in numbers.items()}


def _whose(profile: str) -> str:
    """What a sentence about the made-up job of a profile begins with."""
    return f"jobs.profiles.{profile}: " if profile else ""
