"""From what is known of a run to its Job's manifest: the facts gathered, the template rendered, the result checked.

Nothing is looked up here, so that the same is done where nothing is launched: in rehearsal, and by `v6-node render`.
"""

from dataclasses import replace
from typing import Any

from launcher.algorithmenv import PROXY_HOST, data_path, environment, requested, secret_environment
from launcher.approval import Approved
from launcher.audit import annotation
from launcher.config import NodeConfig
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
from launcher.jobmarks import CHECK, GRANTED, PROFILE, capability, ownership, run_labels
from launcher.layout import LAYOUTS
from launcher.neighbours import beside_the_volume
from launcher.profiles import NONE, composed, settings
from launcher.rendering import Rendering
from launcher.runs import PREFIX, RequestedDatabase, Run
from launcher.session import Identity
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates, TemplateError


class Manifests:
    """Makes the manifests of a node's runs.

    Args:
        config: the node's configuration.
        templates: the job templates.
        files: the task volume.
        identity: who the node is.
        owner_uid: uid of the algorithms' service account, which owns every Job.
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
        selecting: Selecting,
    ) -> None:
        self.config = config
        self._layout = LAYOUTS[config.kubernetes.protocol]
        self._templates = templates
        self._files = files
        self.identity = identity
        self._owner_uid = owner_uid
        self._selecting = selecting

    def checked(self, context: Context) -> dict[str, Any]:
        """What the template of a run makes of it.

        Raises:
            TemplateError: it can't be rendered.
            InvariantError: it renders to something that is not allowed.
        """
        rendering = self.rendering(context)
        check(rendering.manifest, context, self._selecting, rendering.rendered.place_of)
        return rendering.manifest

    def rendering(self, context: Context) -> Rendering:
        """What the template of a run makes of it, unchecked.

        Raises:
            TemplateError: it can't be rendered.
        """
        return self._templates.rendering(self.template(context.profile.name), context)

    def template(self, profile: str) -> str:
        """Name of the job template that runs with a profile get."""
        return settings(self.config.kubernetes.jobs, profile).template or self.usual_template

    @property
    def usual_template(self) -> str:
        """Name of the job template of runs whose profile names none."""
        return self._layout.template

    def refuse_ignored(self) -> None:
        """Look whether all templates that are named are there, and all of the administrator's are used.

        Raises:
            TemplateError: they are not.
        """
        profiles = self.config.kubernetes.jobs.profiles
        for name, profile in profiles.items():
            if profile.template and not self._templates.has(profile.template):
                raise TemplateError(
                    f"jobs.profiles.{name}.template: no template is called {profile.template!r}; there are "
                    f"{', '.join(self._templates.names())}, and those of jobs.templates."
                )
        usual = [layout.template for layout in LAYOUTS.values()]
        self._templates.refuse_ignored([*usual, *(self.template(name) for name in profiles)])

    def rehearse(self) -> None:
        """Make the manifests of made-up runs that ask for every database, so that faults show at start.

        There is one without a profile, and one with each.

        Raises:
            TemplateError: a template can't be rendered, or one of the administrator's is used by nothing.
            InvariantError: one renders to something that is not allowed.
        """
        jobs = self.config.kubernetes.jobs
        self.refuse_ignored()
        databases = tuple(RequestedDatabase(database.label) for database in self.config.node.databases)
        run = replace(CHECK, databases=databases)
        for name in (NONE, *jobs.profiles):
            context = self.context(run, (HostAlias("192.0.2.1", (PROXY_HOST,)),), name)
            try:
                self.checked(context)
            except TemplateError as error:
                raise TemplateError(f"{_whose(name)}{error}") from error
            except InvariantError as error:
                raise InvariantError(error.violations, _whose(name)) from error

    def context(self, run: Run, aliases: tuple[HostAlias, ...], profile: str = NONE, *, gpu: bool = True) -> Context:
        """Everything that the template of a run may use.

        Args:
            run: what is executed.
            aliases: the names that resolve in its pod.
            profile: name of the profile that it gets.
            gpu: whether it gets that profile's GPUs.
        """
        further = settings(self.config.kubernetes.jobs, profile).env
        which = {PROFILE: profile} if profile else {}
        kubernetes = self.config.kubernetes
        composition = composed(kubernetes.jobs, profile, gpu=gpu)
        if kubernetes.taskVolume.oneMachine:
            composition = replace(composition, affinity=beside_the_volume(composition.affinity))
        return Context(
            run=RunFacts(
                run.id,
                run.name,
                run_labels(run),
                {**ownership(self.identity, run), **which},
                kubernetes.jobs.kueue.queueName,
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
            env=environment(self.config, run, further),
            secret_env=secret_environment(self.config, run, further),
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
            profile=composition,
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

    def approved_context(self, run: Run, approved: Approved, aliases: tuple[HostAlias, ...], profile: str) -> Context:
        """The same of a run whose image was approved, with what the audit has to know on its Job."""
        context = self.context(run, aliases, profile)
        annotations = {**context.run.annotations, **annotation(run, approved.rule, profile)}
        return replace(
            context,
            run=replace(context.run, annotations=annotations),
            image=replace(context.image, ref=approved.ref),
        )

    def _databases(self, run: Run) -> tuple[DatabaseMount, ...]:
        mounts = []
        for database, _ in requested(self.config.node, run):
            place = self.config.kubernetes.place_of(database.label)
            if place.claim:
                path = self._layout.database_path(database)
                mounts.append(DatabaseMount(database.label, place.claim, place.subPath, path))
        return tuple(dict.fromkeys(mounts))  # a label may be asked for twice

    def _capabilities(self, run: Run) -> dict[str, str]:
        """The labels by which NetworkPolicies let a run's pod through: to the databases that its task asked for."""
        kubernetes = self.config.kubernetes
        labels = [database.label for database, _ in requested(self.config.node, run)]
        opened = {capability(label): GRANTED for label in labels if kubernetes.place_of(label).reach}
        return opened | ({f"{PREFIX}/whitelist": GRANTED} if kubernetes.egress else {})


def _whose(profile: str) -> str:
    """What a sentence about the made-up job of a profile begins with."""
    return f"jobs.profiles.{profile}: " if profile else ""
