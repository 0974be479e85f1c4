"""The section `node`: what vantage6 itself has words for (https://docs.vantage6.ai, "Configure the node")."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from launcher.config.profiles import variables
from launcher.policies import Policies
from launcher.section import Section

LABEL = r"^[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?$"
SERVER = re.compile(r"^https?://([^]/\s:@?#\[]+|\[[0-9a-fA-F:]+\])\Z")
API_PATH = re.compile(r"^(/[^/\s?#]+)*\Z")

SUFFIXES = {"csv": ".csv", "parquet": ".parquet", "excel": ".xlsx", "folder": ""}
SERVICES = frozenset({"sql", "omop", "sparql", "other"})


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
