"""What every algorithm's Job gets, and how many there are."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from launcher.config.profiles import ProfileRule, ProfileSettings, beyond_limits, missing
from launcher.config.registries import Registries
from launcher.rules import WAIVABLE
from launcher.section import Section, refuse


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
    devices: int | None = None
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
    affinity: dict[str, Any] = {}
    topologySpreadConstraints: tuple[dict[str, Any], ...] = ()
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
        refuse(missing(self.profiles, self.profileRules, self.defaultProfile))
        refuse(beyond_limits(self.profiles, self.resources))
        return self
