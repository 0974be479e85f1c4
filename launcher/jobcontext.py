"""What a job template may refer to: one frozen, typed object per run.

Every field of `Context` is a name that templates use (`{{ run.id }}`, `{{ profile.resources }}`). The string below a
field is its documentation; the reference page for administrators is generated from here. `launcher.invariants` compares
the rendered manifest with the same object, so that a template can change how a job looks but not whose it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The run that the job executes."""

    id: int
    """Number of the run at the server."""
    name: str
    """Name of the Job: `run-<id>`. Creating it twice is a conflict: no run is executed a second time."""
    labels: Mapping[str, str]
    """Labels by which the launcher finds and recognises its own Jobs and pods."""
    annotations: Mapping[str, str]
    """Facts about the run that are not label values (server, time of assignment)."""
    queue: str = ""
    """Kueue's LocalQueue, which lets the Job go when there is room; empty: it starts at once."""


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """The researcher's task. Its texts were written by somebody else: data, never markup."""

    id: int
    """Number of the task at the server."""
    name: str
    """The task's name, any text."""
    job_id: int
    """Number that a task shares with its subtasks; runs of one job share /mnt/tmp on a node."""
    image: str
    """The image as the task names it. What runs is `image.ref`."""
    method: str | None = None
    """Function of the algorithm that is asked for, when the input could be read."""
    arguments: tuple[str, ...] = ()
    """Arguments for the container, written so that Kubernetes passes them on unchanged (`$` doubled); often none."""


@dataclass(frozen=True, slots=True)
class OrganizationFacts:
    """The organization that this node belongs to."""

    id: int
    """Number of the organization at the server."""


@dataclass(frozen=True, slots=True)
class CollaborationFacts:
    """The collaboration that this node serves."""

    id: int
    """Number of the collaboration at the server."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The image that runs, as approved."""

    ref: str
    """Reference that the container uses."""
    pull_policy: str
    """`Always`, `IfNotPresent` or `Never`."""
    pull_secrets: tuple[str, ...] = ()
    """Names of Secrets of this namespace that hold registry credentials."""


@dataclass(frozen=True, slots=True)
class DatabaseMount:
    """A file database that the task asked for."""

    label: str
    """The database's label in the node configuration."""
    claim: str
    """PersistentVolumeClaim that holds it."""
    sub_path: str | None
    """Path inside the claim; None for the whole claim."""
    mount_path: str
    """Where the algorithm sees it. Always mounted read-only."""


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A value that the algorithm gets from a Secret, so that the launcher never holds it."""

    secret: str
    """Name of the Secret, of this namespace."""
    key: str
    """Key in it."""


@dataclass(frozen=True, slots=True)
class Files:
    """The run's own directories on the task volume."""

    claim: str
    """PersistentVolumeClaim of the task volume."""
    data_sub_path: str
    """The run's directory (input, token, output) inside the claim."""
    data_mount_path: str
    """Where the algorithm sees it: /mnt/data."""
    tmp_sub_path: str
    """The directory that the runs of one job share, inside the claim."""
    tmp_mount_path: str
    """Where the algorithm sees it: /mnt/tmp."""
    output_sub_path: str | None = None
    """A directory that the algorithm writes to and that outlives the run, inside the claim; None: there is none."""
    output_mount_path: str = ""
    """Where the algorithm sees that directory."""


@dataclass(frozen=True, slots=True)
class GpuGrant:
    """What a profile grants of devices. The algorithm's resources have it already."""

    resource: str = ""
    """Name of the resource at Kubernetes, for example `nvidia.com/gpu`; empty: a claim asks for the devices."""
    count: int = 0
    """How many of the resource."""
    resource_claim_template_name: str = ""
    """ResourceClaimTemplate, of this namespace, that says which devices and how many; empty: there is none."""

    @property
    def resource_claims(self) -> list[dict[str, str]]:
        """The pod's `resourceClaims` (Dynamic Resource Allocation): one by that template, or none."""
        name = self.resource_claim_template_name
        return [{"name": "gpu", "resourceClaimTemplateName": name}] if name else []


@dataclass(frozen=True, slots=True)
class Profile:
    """What the chart's values say about the job: the run's profile, and for the rest `jobs`."""

    resources: Mapping[str, Any]
    """Requests, limits and claims of the algorithm's container, the profile's GPUs included."""
    node_selector: Mapping[str, str]
    """Labels that a Kubernetes node must have."""
    tolerations: tuple[Mapping[str, Any], ...]
    """Taints that the pod tolerates."""
    pod_labels: Mapping[str, str]
    """Further labels of the pod."""
    pod_annotations: Mapping[str, str]
    """Further annotations of the pod."""
    priority_class_name: str
    """PriorityClass of the pod; empty for the cluster's default."""
    active_deadline_seconds: int
    """Seconds after which Kubernetes ends the pod."""
    termination_grace_period_seconds: int
    """Seconds between SIGTERM and SIGKILL when a run is stopped."""
    tmp_size_limit: str
    """Size limit of /tmp, a Kubernetes quantity."""
    run_as_user: int
    """User id that algorithms run as; the launcher's own, or it could not read their output."""
    run_as_group: int
    """Group id that algorithms run as."""
    supplemental_groups: tuple[int, ...] = ()
    """Further groups, for example the one that may read the databases."""
    name: str = ""
    """Name of the profile; empty: the run has none."""
    runtime_class_name: str = ""
    """RuntimeClass of the pod; empty for the cluster's default."""
    gpu: GpuGrant | None = None
    """The devices that the profile grants; None: it grants none."""
    affinity: Mapping[str, Any] = field(default_factory=dict)
    """Which machines and which other pods the pod prefers, needs or keeps away from."""
    topology_spread_constraints: tuple[Mapping[str, Any], ...] = ()
    """How pods are spread over machines or zones."""
    extra_images: tuple[str, ...] = ()
    """Images that containers beside the algorithm may run."""
    caps: Mapping[str, str | int | float] = field(default_factory=dict)
    """The most of each resource (cpu, memory, ephemeral-storage; devices: of each kind) that a container may have;
    absent: no cap."""
    max_deadline_seconds: int | None = None
    """The longest that `activeDeadlineSeconds` may be; None: no cap."""
    waived: frozenset[str] = frozenset()
    """Names of the rules that the administrator waived."""


@dataclass(frozen=True, slots=True)
class HostAlias:
    """A line of the pod's /etc/hosts."""

    ip: str
    """Address."""
    hostnames: tuple[str, ...]
    """Names for it."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """What keeps the algorithm away from everything but the proxy and its databases."""

    labels: Mapping[str, str]
    """Pod labels that NetworkPolicies select."""
    host_aliases: tuple[HostAlias, ...]
    """The only names that resolve inside the pod."""
    service_account: str
    """Service account without any rights; its token is not mounted."""
    nameserver: str = "127.0.0.1"
    """Where name look-ups go: nobody listens there, so that they fail at once."""
    blank_variables: tuple[str, ...] = (
        "KUBERNETES_SERVICE_HOST",
        "KUBERNETES_SERVICE_PORT",
        "KUBERNETES_SERVICE_PORT_HTTPS",
        "KUBERNETES_PORT",
        "KUBERNETES_PORT_443_TCP",
        "KUBERNETES_PORT_443_TCP_PROTO",
        "KUBERNETES_PORT_443_TCP_PORT",
        "KUBERNETES_PORT_443_TCP_ADDR",
    )
    """Variables by which Kubernetes announces its API server in every pod, whether Service links are on or off."""

    @property
    def blank_env(self) -> list[dict[str, str]]:
        """These variables as the `env` of a container beside the algorithm: each one blank."""
        return [{"name": name, "value": ""} for name in self.blank_variables]

    @property
    def container_security_context(self) -> dict[str, Any]:
        """The `securityContext` that every container of the pod has."""
        return {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """The vantage6 node that starts the job."""

    namespace: str
    """Namespace of the node's release."""
    owner: Mapping[str, str]
    """Owner reference (apiVersion, kind, name, uid) to the algorithms' ServiceAccount: uninstalling ends what runs."""


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that a job template may use."""

    run: RunFacts
    """The run that the job executes."""
    task: TaskFacts
    """The researcher's task."""
    organization: OrganizationFacts
    """This node's organization."""
    collaboration: CollaborationFacts
    """This node's collaboration."""
    image: ImageFacts
    """The image that runs."""
    env: Mapping[str, str]
    """The algorithm's environment variables, already encoded as vantage6 wants them."""
    secret_env: Mapping[str, SecretKey]
    """Further variables, with the Secret that their value is in: what the databases asked for need."""
    databases: tuple[DatabaseMount, ...]
    """The file databases that the task asked for."""
    files: Files
    """The run's directories."""
    profile: Profile
    """What the chart's values say about the job."""
    isolation: Isolation
    """What isolates the pod."""
    node: NodeFacts
    """The vantage6 node."""
