"""Which profile a run gets, and what its job's settings are then: pure decisions over the chart's values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from launcher.config import NodeConfig
from launcher.config.jobs import Jobs
from launcher.config.profiles import GPU, Gpu, ProfileRule, ProfileSettings
from launcher.imagereference import ImageReference
from launcher.jobcontext import GpuGrant, Profile
from launcher.policies import lists, matches
from launcher.runs import Run

NONE = ""
"""The profile of runs that get none: what `jobs` says."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules can go by."""

    image: str
    """As the task names it."""
    digest: str | None
    organization: int
    """Number of the organization that sent the task."""
    user: int | None
    task: str
    databases: tuple[str, ...]
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The profile that a run gets, and why."""

    profile: str
    rule: int | None
    """Position in `jobs.profileRules`; None: no rule holds."""


def facts(config: NodeConfig, run: Run, ref: str) -> Facts:
    """What is known of a run whose image was approved as `ref`."""
    return Facts(
        image=run.image,
        digest=digest_of(ref),
        organization=run.init_organization_id,
        user=run.init_user_id,
        task=run.task_name,
        databases=tuple(database.label for database in run.databases),
        devices=(GPU,) if config.node.algorithm_device_requests.gpu else (),
    )


def digest_of(ref: str) -> str | None:
    """The digest that a reference names, if it names one."""
    try:
        return ImageReference.parse(ref).digest
    except ValueError:
        return None


def choose(jobs: Jobs, known: Facts) -> Choice:
    """The profile of the first rule that holds; where none does, `jobs.defaultProfile`."""
    for index, rule in enumerate(jobs.profileRules):
        if all(judged(rule, known).values()):
            return Choice(rule.profile, index)
    return Choice(jobs.defaultProfile, None)


def judged(rule: ProfileRule, known: Facts) -> dict[str, bool]:
    """Whether each condition of a rule holds, by its key."""
    verdicts = {
        "images": lambda entries: lists(entries, known.image),
        "digests": lambda entries: known.digest in entries,
        "organizations": lambda entries: str(known.organization) in entries,
        "users": lambda entries: str(known.user) in entries,
        "tasks": lambda entries: matches(entries, known.task),
        "databases": lambda entries: bool(set(entries) & set(known.databases)),
        "devices": lambda entries: bool(set(entries) & set(known.devices)),
    }
    return {key: verdicts[key](entries) for key, entries in rule.conditions.items()}


def settings(jobs: Jobs, name: str) -> ProfileSettings:
    """The settings of a profile; `NONE` has none."""
    return jobs.profiles[name] if name else ProfileSettings()


def composed(jobs: Jobs, name: str, *, gpu: bool = True) -> Profile:
    """What a job with a profile gets: the profile's settings before those of `jobs`.

    Args:
        jobs: the chart's values.
        name: of the profile.
        gpu: whether it gets the profile's GPUs: the node's own checks need none.
    """
    mine = settings(jobs, name)
    granted = _grant(mine.gpu) if mine.gpu and gpu else None
    caps = {
        "cpu": jobs.caps.cpu,
        "memory": jobs.caps.memory,
        "ephemeral-storage": jobs.caps.ephemeralStorage,
        "devices": jobs.caps.devices,
    }
    return Profile(
        name=name,
        resources=_resources(jobs.resources, mine.resources, granted),
        gpu=granted,
        runtime_class_name=mine.runtimeClassName,
        node_selector=jobs.nodeSelector | mine.nodeSelector,
        tolerations=jobs.tolerations + mine.tolerations,
        affinity=_given(mine.affinity, jobs.affinity),
        topology_spread_constraints=_given(mine.topologySpreadConstraints, jobs.topologySpreadConstraints),
        pod_labels=jobs.podLabels,
        pod_annotations=jobs.podAnnotations,
        priority_class_name=_given(mine.priorityClassName, jobs.priorityClassName),
        active_deadline_seconds=_given(mine.activeDeadlineSeconds, jobs.activeDeadlineSeconds),
        termination_grace_period_seconds=jobs.terminationGracePeriodSeconds,
        tmp_size_limit=_given(mine.tmpSizeLimit, jobs.tmpSizeLimit),
        run_as_user=jobs.securityContext.runAsUser,
        run_as_group=jobs.securityContext.runAsGroup,
        supplemental_groups=jobs.securityContext.supplementalGroups,
        extra_images=jobs.extraImages,
        caps={name: value for name, value in caps.items() if value is not None},
        max_deadline_seconds=jobs.caps.activeDeadlineSeconds,
        waived=frozenset(jobs.waive),
    )


def _grant(gpu: Gpu) -> GpuGrant:
    if gpu.resourceClaimTemplateName:
        return GpuGrant(resource_claim_template_name=gpu.resourceClaimTemplateName)
    return GpuGrant(gpu.resource or "", gpu.count)


def _given(mine: Any, usual: Any) -> Any:
    return usual if mine is None else mine


def _resources(
    usual: Mapping[str, Mapping[str, Any]], mine: Mapping[str, Mapping[str, Any]], gpu: GpuGrant | None
) -> dict[str, Any]:
    """Requests, limits and claims; Kubernetes takes a device's limit for its request."""
    sections = dict.fromkeys([*usual, *mine])
    made: dict[str, Any] = {section: {**usual.get(section, {}), **mine.get(section, {})} for section in sections}
    if gpu is not None and gpu.resource_claims:
        made["claims"] = [{"name": claim["name"]} for claim in gpu.resource_claims]
    elif gpu is not None:
        made["limits"] = {**made.get("limits", {}), gpu.resource: gpu.count}
    return made
