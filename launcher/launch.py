"""From a run to the Job that executes it: the facts gathered, the template rendered, the result checked."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from launcher.algorithmenv import PROXY_HOST, data_path, environment, requested, secret_environment
from launcher.approval import Approved
from launcher.audit import annotation
from launcher.cluster import CHECK_LABEL
from launcher.config import Jobs, NodeConfig
from launcher.destinations import Destinations
from launcher.invariants import Selecting, check
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
    Profile,
    RunFacts,
    TaskFacts,
)
from launcher.layout import LAYOUTS
from launcher.runcontext import NAME, run_context
from launcher.runs import PREFIX, RequestedDatabase, Run
from launcher.session import Identity
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates

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
        context = self.context(run, await self._destinations.open(run))
        annotations = {**context.run.annotations, **annotation(run, approved.rule)}
        return self._render(
            replace(
                context,
                run=replace(context.run, annotations=annotations),
                image=replace(context.image, ref=approved.ref),
            )
        )

    async def check_manifest(self, name: str, run: Run, kind: str) -> dict[str, Any]:
        """The manifest of a check: what an algorithm gets, by the same template and the same policies.

        It carries no run id, so nobody takes it for a run.

        Args:
            name: of the Job.
            run: `CHECK`, `CHECK_GRANTED`, or a run like it that asks for databases in files.
            kind: what is checked, for the Job's label.

        Raises:
            TemplateError, InvariantError, OSError: as for a run.
        """
        image = self._config.kubernetes.isolation.image
        context = self.context(run, await self._destinations.own_aliases())
        granted = self.every_capability if run is CHECK_GRANTED else {}
        return self._render(
            replace(
                context,
                run=RunFacts(run.id, name, {CHECK_LABEL: kind}, ownership(self._identity, run)),
                image=replace(context.image, ref=image.ref, pull_policy=image.pullPolicy),
                isolation=replace(context.isolation, labels={**context.isolation.labels, **granted}),
            )
        )

    @property
    def every_capability(self) -> dict[str, str]:
        """The labels that open the ways to all of the node's databases."""
        return {capability(place.label): GRANTED for place in self._config.kubernetes.databases if place.reach}

    def _render(self, context: Context) -> dict[str, Any]:
        manifest = self._templates.render(self._layout.template, context)
        check(manifest, context, self._selecting)
        return manifest

    def rehearse(self) -> None:
        """Make the manifest of a made-up run that asks for every database, so that faults show at start.

        Raises:
            TemplateError: the template can't be rendered, or one of the administrator's is used by nothing.
            InvariantError: it renders to something that is not allowed.
        """
        self._templates.refuse_unused(layout.template for layout in LAYOUTS.values())
        databases = tuple(RequestedDatabase(database.label) for database in self._config.node.databases)
        self._render(self.context(replace(CHECK, databases=databases), (HostAlias("192.0.2.1", (PROXY_HOST,)),)))

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

    def context(self, run: Run, aliases: tuple[HostAlias, ...]) -> Context:
        """Everything that the template of a run may use."""
        kubernetes = self._config.kubernetes
        return Context(
            run=RunFacts(
                run.id, run.name, run_labels(run), ownership(self._identity, run), kubernetes.jobs.kueue.queueName
            ),
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
            env=environment(self._config, run),
            secret_env=secret_environment(self._config, run),
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
            profile=_profile(kubernetes.jobs),
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


def _profile(jobs: Jobs) -> Profile:
    caps = {"cpu": jobs.caps.cpu, "memory": jobs.caps.memory, "ephemeral-storage": jobs.caps.ephemeralStorage}
    return Profile(
        resources=jobs.resources,
        node_selector=jobs.nodeSelector,
        tolerations=jobs.tolerations,
        pod_labels=jobs.podLabels,
        pod_annotations=jobs.podAnnotations,
        priority_class_name=jobs.priorityClassName,
        active_deadline_seconds=jobs.activeDeadlineSeconds,
        termination_grace_period_seconds=jobs.terminationGracePeriodSeconds,
        tmp_size_limit=jobs.tmpSizeLimit,
        run_as_user=jobs.securityContext.runAsUser,
        run_as_group=jobs.securityContext.runAsGroup,
        supplemental_groups=jobs.securityContext.supplementalGroups,
        extra_images=jobs.extraImages,
        runtime_classes=jobs.runtimeClasses,
        caps={name: value for name, value in caps.items() if value is not None},
        max_deadline_seconds=jobs.caps.activeDeadlineSeconds,
        waived=frozenset(jobs.waive),
    )
