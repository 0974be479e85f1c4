"""From a run to the Job that executes it: the facts gathered, the template rendered, the result checked."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

from launcher.algorithmenv import PROXY_HOST, TMP_PATH, data_path, environment, requested
from launcher.config import Jobs, NodeConfig
from launcher.invariants import check
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
from launcher.runs import PREFIX, RequestedDatabase, Run
from launcher.session import Identity
from launcher.taskfiles import TaskFiles
from launcher.templates import JobTemplates

TEMPLATE = "job.yaml.j2"
NOBODY = Identity(server="", node_id=0, name="", organization_id=0, collaboration_id=0)
"""Who the node is before it logged in: enough to rehearse."""


class Launch:
    """Makes the manifests of this node's runs.

    Args:
        config: the node's configuration.
        templates: the job templates.
        files: the task volume.
        identity: who the node is.
        owner_uid: uid of the algorithms' service account, which owns every Job.
    """

    def __init__(
        self, config: NodeConfig, templates: JobTemplates, files: TaskFiles, identity: Identity, owner_uid: str
    ) -> None:
        self._config = config
        self._templates = templates
        self._files = files
        self._identity = identity
        self._owner_uid = owner_uid

    async def manifest(self, run: Run) -> dict[str, Any]:
        """The checked manifest of a run's Job.

        Raises:
            UnknownDatabase: the task asks for a database that the node does not have.
            TemplateError: the template can't be rendered.
            InvariantError: it renders to something that is not allowed.
            OSError: the proxy's name does not resolve.
        """
        address = await _address_of(self._config.kubernetes.proxy.service)
        context = self.context(run, address)
        manifest = self._templates.render(TEMPLATE, context)
        check(manifest, context)
        return manifest

    def rehearse(self) -> None:
        """Make the manifest of a made-up run that asks for every database, so that faults show at start.

        Raises:
            TemplateError: the template can't be rendered.
            InvariantError: it renders to something that is not allowed.
        """
        databases = tuple(RequestedDatabase(database.label) for database in self._config.node.databases)
        context = self.context(_rehearsal(databases), "192.0.2.1")
        check(self._templates.render(TEMPLATE, context), context)

    def is_ours(self, job: Mapping[str, Any], run: Run | None) -> bool:
        """Whether a Job belongs to this server's and node's run (of that time of assignment, where it is known)."""
        annotations = job["metadata"].get("annotations") or {}
        expected = ownership(self._identity, run)
        return all(annotations.get(key) == value for key, value in expected.items())

    def context(self, run: Run, proxy_address: str) -> Context:
        """Everything that the template of a run may use."""
        kubernetes = self._config.kubernetes
        return Context(
            run=RunFacts(run.id, run.name, _labels(run), ownership(self._identity, run)),
            task=TaskFacts(id=run.task_id, name=run.task_name, job_id=run.job_id, image=run.image),
            organization=OrganizationFacts(run.organization_id),
            collaboration=CollaborationFacts(run.collaboration_id),
            image=ImageFacts(run.image, kubernetes.jobs.imagePullPolicy, kubernetes.imagePullSecrets),
            env=environment(self._config.node, run, kubernetes.proxy.port),
            databases=self._databases(run),
            files=Files(
                claim=kubernetes.taskVolume.claim,
                data_sub_path=f"{self._files.sub_path(run)}/data",
                data_mount_path=data_path(run),
                tmp_sub_path=self._files.tmp_sub_path(run),
                tmp_mount_path=TMP_PATH,
            ),
            profile=_profile(kubernetes.jobs),
            isolation=Isolation(
                labels={f"{PREFIX}/role": "algorithm"},
                host_aliases=(HostAlias(proxy_address, (PROXY_HOST,)),),
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
            volume = self._config.kubernetes.volume_of(database.label)
            mounts.append(DatabaseMount(database.label, volume.claim, volume.subPath, database.mount_path))
        return tuple(dict.fromkeys(mounts))  # a label may be asked for twice


def _rehearsal(databases: tuple[RequestedDatabase, ...]) -> Run:
    return Run(
        id=0,
        task_id=0,
        job_id=0,
        parent_id=None,
        image="rehearsal",
        task_name="rehearsal",
        organization_id=0,
        collaboration_id=0,
        init_organization_id=0,
        init_user_id=None,
        databases=databases,
        assigned_at="1970-01-01T00:00:00",
    )


def ownership(identity: Identity, run: Run | None) -> dict[str, str]:
    """The annotations that say whose a Job is."""
    owner = {f"{PREFIX}/server": identity.server, f"{PREFIX}/node-id": str(identity.node_id)}
    return owner if run is None else {**owner, f"{PREFIX}/assigned-at": run.assigned_at}


def _labels(run: Run) -> dict[str, str]:
    numbers = {
        "run-id": run.id,
        "task-id": run.task_id,
        "organization-id": run.organization_id,
        "collaboration-id": run.collaboration_id,
    }
    return {f"{PREFIX}/{name}": str(number) for name, number in numbers.items()}


def _profile(jobs: Jobs) -> Profile:
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
    )


async def _address_of(service: str) -> str:
    """The cluster address of a Service of this namespace."""
    found = await asyncio.get_running_loop().getaddrinfo(service, None, type=socket.SOCK_STREAM)
    return str(found[0][4][0])
