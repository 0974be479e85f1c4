"""The node's configuration: what the chart hands over, validated before anything starts.

The file has two sections. `node` uses the vantage6 node configuration's own key names
(https://docs.vantage6.ai, "Configure the node"); `kubernetes` holds what the chart knows about the
cluster and vantage6 has no word for.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from launcher.policies import Policies
from launcher.profileconfig import ProfileRule, ProfileSettings, beyond_limits, missing, out_of_place, variables
from launcher.registryconfig import Registries
from launcher.rules import WAIVABLE
from launcher.section import Section

LABEL = r"^[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?$"
SERVER = re.compile(r"^https?://([^]/\s:@?#\[]+|\[[0-9a-fA-F:]+\])\Z")
API_PATH = re.compile(r"^(/[^/\s?#]+)*\Z")
UUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")

SUFFIXES = {"csv": ".csv", "parquet": ".parquet", "excel": ".xlsx", "folder": ""}
SERVICES = frozenset({"sql", "omop", "sparql", "other"})


_SENTENCES = "sentences"
"""Kind of a fault whose message says everything."""


class ConfigError(Exception):
    """The configuration can't be used; the message is one sentence per fault, naming the key."""


def _refuse(sentences: list[str]) -> None:
    """Raise what is wrong with several keys together, as sentences that need no more words."""
    if sentences:
        raise PydanticCustomError(_SENTENCES, "{sentences}", {"sentences": " ".join(sentences)})


class Database(Section):
    """A database as vantage6 describes it.

    The `uri` of a file or folder is a path on the host, or inside `claim`. That of a service is in its Secret.
    """

    label: Annotated[str, Field(pattern=LABEL, max_length=40)]
    type: Literal["csv", "parquet", "excel", "folder", "sql", "omop", "sparql", "other"]
    uri: str = ""
    claim: str | None = None
    nodeName: str | None = None
    mount_mode: Literal["copy", "ro"] | None = None
    """vantage6's word for how a file gets to algorithms. It changes nothing: all are mounted read-only."""

    @property
    def is_service(self) -> bool:
        """Whether algorithms reach it over the network, instead of in a folder."""
        return self.type in SERVICES

    @property
    def mount_path(self) -> str:
        """Where an algorithm finds a file or folder: the path of vantage6's read-only mounts (`mount_mode: ro`)."""
        suffix = PurePosixPath(self.uri).suffix if self.type != "folder" else ""
        return f"/mnt/{self.label}{suffix or SUFFIXES[self.type]}"


class Encryption(Section):
    """Whether the collaboration is encrypted. The private key is not here: it is in a Secret, mounted as a file."""

    enabled: bool = False


class Logging(Section):
    """How much the node says."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"


class Prometheus(Section):
    """Whether the server gets the node's load, for its own metrics."""

    enabled: bool = False
    report_interval_seconds: Annotated[int, Field(ge=5)] = 45


class DeviceRequests(Section):
    """Devices that vantage6 gives algorithms; here a rule of `jobs.profileRules` says which profile has them."""

    gpu: bool = False


class NodeSection(Section):
    """The vantage6 node configuration, without its secrets."""

    server_url: str
    port: Annotated[int, Field(ge=1, le=65535)] | None = 443
    api_path: str = "/api"
    encryption: Encryption = Encryption()
    databases: tuple[Database, ...] = ()
    policies: Policies = Policies()
    algorithm_env: Annotated[dict[str, str], AfterValidator(variables)] = {}
    algorithm_device_requests: DeviceRequests = DeviceRequests()
    share_config: bool = True
    share_algorithm_logs: bool = True
    run_context_file: bool = False
    prometheus: Prometheus = Prometheus()
    logging: Logging = Logging()

    @property
    def server(self) -> str:
        """Scheme, host and port of the server, where its socket.io lives."""
        return self.server_url if self.port is None else f"{self.server_url}:{self.port}"

    @property
    def api_url(self) -> str:
        """The base of the server's REST calls, without a trailing slash."""
        return self.server + self.api_path

    @field_validator("server_url")
    @classmethod
    def _scheme_and_host(cls, value: str) -> str:
        if not SERVER.match(value):
            raise ValueError(
                "it is not just http:// or https:// and a host; leave out the port (node.port has it), "
                "the path (node.api_path has it) and a slash at the end"
            )
        return value

    @field_validator("api_path")
    @classmethod
    def _path(cls, value: str) -> str:
        if not API_PATH.match(value):
            raise ValueError("it is no path like /api; begin it with a slash, end it without one, or leave it empty")
        return value

    @model_validator(mode="after")
    def _labels_differ(self) -> "NodeSection":
        seen: set[str] = set()
        for database in self.databases:
            # Case does not tell labels apart: both would become the same <LABEL>_DATABASE_URI.
            if database.label.lower() in seen:
                raise ValueError(f"databases: label {database.label!r} is given twice; labels must differ")
            if database.type == "folder" and database.label in {"data", "tmp"}:
                raise ValueError(f"databases: a folder can't be labelled {database.label!r}; choose another label")
            seen.add(database.label.lower())
        return self


class ProxyService(Section):
    """The Service that algorithms reach."""

    service: str
    port: int


class Destination(Section):
    """A host and port at which a database is reached."""

    host: str
    """The name or address that algorithms use."""
    port: Annotated[int, Field(ge=1, le=65535)]
    addresses: tuple[str, ...] = ()
    """Its fixed addresses; empty: `host`, or `service`, is looked up before each launch."""
    service: str = ""
    """Name to look up instead of `host`: the Service of an SSH tunnel."""
    policy: str = ""
    """NetworkPolicy whose egress rules the launcher keeps to what was looked up; empty: the chart's rules suffice."""


class DatabaseSecret(Section):
    """The Secret with what an algorithm has to know of a database: variable names, and the keys of their values."""

    name: str
    variables: dict[str, str]


class DatabasePlace(Section):
    """Where a database is: the claim that holds it and the path in it, or the hosts that serve it."""

    label: str
    claim: str | None = None
    subPath: str | None = None
    secret: DatabaseSecret | None = None
    reach: tuple[Destination, ...] = ()


class TaskVolume(Section):
    """The claim that holds the runs' files."""

    claim: str
    minFreeBytes: Annotated[int, Field(ge=0)] = 256 * 2**20
    """What has to be free on it for a run to be taken."""


class Retention(Section):
    """How many hours what is no longer needed is kept."""

    failedHours: Annotated[float, Field(ge=0)] = 0
    """Job, pod and files of runs that failed."""
    logHours: Annotated[float, Field(ge=0)] = 168
    """Logs of ended runs that the server did not get."""
    tmpHours: Annotated[float, Field(ge=0)] = 168
    """Folders shared by the runs of one job, after the last of them."""
    strangerHours: Annotated[float, Field(ge=1)] | None = 720
    """Files of no run of this node, after the last change; None: for ever."""


class JobSecurityContext(Section):
    """Whom algorithms run as."""

    runAsUser: int = 65532
    runAsGroup: int = 65532
    supplementalGroups: tuple[int, ...] = ()


class Caps(Section):
    """The most that a job may ask for, whatever its template says; None: no cap."""

    cpu: str | int | float | None = None
    memory: str | int | None = None
    ephemeralStorage: str | int | None = None
    activeDeadlineSeconds: int | None = None


def _waivable(name: str) -> str:
    if name not in WAIVABLE:
        raise ValueError(f"it is no rule that can be waived; choose from {', '.join(WAIVABLE)}")
    return name


class Kueue(Section):
    """The queue by which Kueue admits Jobs (https://kueue.sigs.k8s.io)."""

    queueName: str = ""
    """Name of a LocalQueue of the namespace; empty: Jobs are not queued."""


class Jobs(Section):
    """What every algorithm's Job gets, and how many there are."""

    maxConcurrent: Annotated[int, Field(ge=1)] | None = None
    """Algorithms at a time of tasks, and of subtasks; None: no limit."""
    kueue: Kueue = Kueue()
    securityContext: JobSecurityContext = JobSecurityContext()
    resources: dict[str, dict[str, str | int | float]] = {}
    tmpSizeLimit: str = "1Gi"
    nodeSelector: dict[str, str] = {}
    tolerations: tuple[dict[str, Any], ...] = ()
    podLabels: dict[str, str] = {}
    podAnnotations: dict[str, str] = {}
    priorityClassName: str = ""
    imagePullPolicy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    activeDeadlineSeconds: Annotated[int, Field(ge=1)] = 2592000
    terminationGracePeriodSeconds: Annotated[int, Field(ge=0)] = 5
    maxResultBytes: Annotated[int, Field(ge=1)] = 256 * 2**20
    maxLogBytes: Annotated[int, Field(ge=1024)] = 8 * 2**20
    waitForRoomSeconds: Annotated[int, Field(ge=0)] = 24 * 3600
    """For which a shortage of room in the cluster, or in a quota, is put up with."""
    waitForRepairSeconds: Annotated[int, Field(ge=0)] = 300
    """For which everything else is that keeps an algorithm from starting and may be repaired."""
    extraImages: tuple[str, ...] = ()
    registries: Registries = Registries()
    waive: tuple[Annotated[str, AfterValidator(_waivable)], ...] = ()
    caps: Caps = Caps()
    profiles: dict[str, ProfileSettings] = {}
    profileRules: tuple[ProfileRule, ...] = ()
    """The first that holds for a run says which profile it gets."""
    defaultProfile: str = ""
    """The profile of runs that no rule holds for; empty: they get what is said above."""

    @model_validator(mode="after")
    def _profiles_exist(self) -> "Jobs":
        _refuse(missing(self.profiles, self.profileRules, self.defaultProfile))
        _refuse(beyond_limits(self.profiles, self.resources))
        return self


class ServerAccess(Section):
    """How the vantage6 server is reached, beyond its address."""

    transport: Literal["auto", "polling", "websocket"] = "auto"
    """What carries socket.io: HTTP long polling, which passes wherever HTTP does, or a websocket, whose end the server
    notices at once; `auto` begins with polling and goes over to a websocket where one passes."""
    ca: str | None = None
    """File with authorities (PEM) that the server's certificate may be signed by, besides those of the system."""


class EgressService(Section):
    """The Service of the egress proxy, through which algorithms reach whitelisted destinations."""

    service: str
    port: int


class DiagnosticsImage(Section):
    """The image of the diagnostics algorithm, which tries every way out."""

    ref: str
    pullPolicy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"


class IsolationSection(Section):
    """When the node believes that its algorithms are isolated."""

    required: bool = True
    """Whether the node stays offline until a check passed."""
    recheckEvery: Annotated[int, Field(ge=60)] = 6 * 3600
    """Seconds between checks, and for which a passed one is reused after a restart."""
    accept: tuple[Literal["node-address", "kubelet", "node-port"], ...] = ()
    """Ways out that the site puts up with, by name."""
    onFailure: Literal["leave", "kill"] = "leave"
    """What becomes of running algorithms when a later check fails."""
    outside: tuple[str, ...] = ()
    """Addresses beyond the cluster that are tried, besides the server's."""
    image: DiagnosticsImage


class KubernetesSection(Section):
    """Where in the cluster the node lives."""

    namespace: str
    release: str
    chart: str
    image: str
    """The launcher's own: another one may isolate otherwise, so the isolation is checked anew."""
    protocol: Literal["v4", "poc"] = "v4"
    """What the server speaks: that of vantage6 4.x, or that of the proof of concept."""
    proxy: ProxyService
    server: ServerAccess = ServerAccess()
    algorithmServiceAccount: str
    imagePullSecrets: tuple[str, ...] = ()
    taskVolume: TaskVolume
    retention: Retention = Retention()
    databases: tuple[DatabasePlace, ...] = ()
    policies: dict[str, dict[str, Any]] = {}
    """What the chart's NetworkPolicies say of algorithms: their specs, by name."""
    egress: EgressService | None = None
    isolation: IsolationSection
    jobs: Jobs = Jobs()

    def place_of(self, label: str) -> DatabasePlace:
        """Where a database that the node has is.

        Raises:
            KeyError: the chart rendered no place for `label`.
        """
        for place in self.databases:
            if place.label == label:
                return place
        raise KeyError(label)


class NodeConfig(Section):
    """The whole configuration file."""

    node: NodeSection
    kubernetes: KubernetesSection

    @model_validator(mode="after")
    def _profiles_fit(self) -> "NodeConfig":
        jobs = self.kubernetes.jobs
        _refuse(
            out_of_place(
                jobs.profiles,
                jobs.profileRules,
                labels=tuple(database.label for database in self.node.databases),
                gpu=self.node.algorithm_device_requests.gpu,
                protocol=self.kubernetes.protocol,
            )
        )
        return self

    @classmethod
    def load(cls, path: Path) -> "NodeConfig":
        """Read and validate the configuration file.

        Raises:
            ConfigError: the file is missing, not YAML, or has a fault; one sentence per fault.
        """
        try:
            return cls.model_validate(yaml.safe_load(path.read_text()))
        except OSError as error:
            raise ConfigError(
                f"{path} can't be read ({error.strerror}); give the configuration file's path."
            ) from error
        except yaml.YAMLError as error:
            raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}.") from error
        except ValidationError as error:
            raise ConfigError(" ".join(_sentence(fault) for fault in error.errors())) from error


def _sentence(fault: Any) -> str:
    if fault["type"] == _SENTENCES:
        return str(fault["msg"])
    key = ".".join(str(part) for part in fault["loc"]) or "the file"
    value = "" if isinstance(fault["input"], dict) else f": {fault['input']!r} can't be used"
    return f"{key}{value}: {fault['msg'].removeprefix('Value error, ')}."


def read_api_key(secrets: Path) -> str:
    """The node's API key from the mounted Secret.

    Raises:
        ConfigError: there is none, or it is not a UUID, which the server would refuse (PROTOCOL: 400).
    """
    try:
        key = (secrets / "api_key").read_text().strip()
    except OSError as error:
        raise ConfigError(f"The Secret has no readable api_key at {secrets} ({error.strerror}).") from error
    if not UUID.match(key):
        raise ConfigError("api_key is not a UUID; copy the key that the server showed when the node was registered.")
    return key
