"""The section `kubernetes`: what the chart knows about the cluster, and vantage6 has no word for."""

from typing import Annotated, Any, Literal

from pydantic import Field

from launcher.config.jobs import Jobs
from launcher.section import Section


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
    oneMachine: bool = False
    """Whether only one machine at a time can mount it (ReadWriteOnce), so that launcher and algorithms share one."""
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
