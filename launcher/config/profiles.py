"""What the chart's values say of profiles: named settings for jobs, and the rules by which runs get one."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from kubernetes.utils.quantity import parse_quantity
from pydantic import AfterValidator, Field, model_validator

from launcher.policies import Entry, Images, Number
from launcher.section import Section

GPU: Literal["gpu"] = "gpu"
"""What vantage6 calls the devices that `algorithm_device_requests` can ask for."""
VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
# Kubernetes' own names, such as cpu and hugepages-2Mi, have no domain.
DEVICE = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"


def variables(given: dict[str, str]) -> dict[str, str]:
    """Names that an algorithm's variables may have.

    Raises:
        ValueError: one may not.
    """
    for name in given:
        # PKG_NAME says which package the algorithm tools load: vantage6 refuses to override it.
        if not VARIABLE.match(name) or name == "PKG_NAME":
            raise ValueError(f"{name!r} is not a name an algorithm's variable may have; rename it")
    return given


class Gpu(Section):
    """What a profile grants: so many of a device, or what a ResourceClaimTemplate of the namespace asks for."""

    resource: Annotated[str, Field(pattern=DEVICE)] | None = None
    count: Annotated[int, Field(ge=1)] = 1
    """Of the resource."""
    resourceClaimTemplateName: Annotated[str, Field(pattern=NAME)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Gpu":
        if self.model_fields_set not in ({"resource"}, {"resource", "count"}, {"resourceClaimTemplateName"}):
            raise ValueError("it has a resource, perhaps with its count, or a resourceClaimTemplateName alone")
        return self


class ProfileSettings(Section):
    """A profile: what is not given is as `jobs` says; what is given goes before it, or is added to it."""

    template: str = ""
    """File name of the job template; empty for the usual one."""
    runtimeClassName: str = ""
    gpu: Gpu | None = None
    resources: dict[str, dict[str, str | int | float]] = {}
    """Each request and limit goes before the same one of `jobs.resources`."""
    tmpSizeLimit: str | None = None
    nodeSelector: dict[str, str] = {}
    """Added to `jobs.nodeSelector`."""
    tolerations: tuple[dict[str, Any], ...] = ()
    """Added to `jobs.tolerations`."""
    affinity: dict[str, Any] | None = None
    topologySpreadConstraints: tuple[dict[str, Any], ...] | None = None
    priorityClassName: str | None = None
    activeDeadlineSeconds: Annotated[int, Field(ge=1)] | None = None
    env: Annotated[dict[str, str], AfterValidator(variables)] = {}
    """Added to `node.algorithm_env`, before the same names there."""


class ProfileRule(Section):
    """Which runs get a profile: those that every condition holds for that is given."""

    profile: str
    images: Annotated[Images, Field(min_length=1)] | None = None
    """As `node.policies.allowed_algorithms` has them."""
    digests: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    organizations: Annotated[tuple[Number, ...], Field(min_length=1)] | None = None
    """Numbers of the organizations that send tasks."""
    users: Annotated[tuple[Number, ...], Field(min_length=1)] | None = None
    tasks: Annotated[tuple[Entry, ...], Field(min_length=1)] | None = None
    """Names of tasks, or patterns of them."""
    databases: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Labels of which the task asks for one."""
    devices: Annotated[tuple[Literal["gpu"], ...], Field(min_length=1)] | None = None
    """What `node.algorithm_device_requests` asks for."""

    @property
    def conditions(self) -> dict[str, tuple[str, ...]]:
        """The conditions that are given, by key."""
        return {
            key: value
            for key in ProfileRule.model_fields
            if key != "profile" and (value := getattr(self, key)) is not None
        }


def missing(profiles: Mapping[str, ProfileSettings], rules: tuple[ProfileRule, ...], default: str) -> list[str]:
    """Sentences on rules and a default that name no profile, and on rules that say nothing."""
    known = f"jobs.profiles has {', '.join(sorted(profiles)) or 'none'}"
    sentences = []
    for index, rule in enumerate(rules):
        path = f"jobs.profileRules[{index}]"
        if rule.profile not in profiles:
            sentences.append(f'{path}.profile "{rule.profile}" is no profile; {known}.')
        if not rule.conditions:
            sentences.append(f"{path} has no condition and so holds for every run; set jobs.defaultProfile instead.")
    if default and default not in profiles:
        sentences.append(f'jobs.defaultProfile "{default}" is no profile; {known}.')
    return sentences


def beyond_limits(profiles: Mapping[str, ProfileSettings], usual: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Sentences on requests above their limits, which Kubernetes would refuse with each Job.

    Args:
        profiles: by name.
        usual: `jobs.resources`, which says what a profile does not.
    """
    sentences = []
    for name, profile in profiles.items():
        limits, requests = (
            {**usual.get(section, {}), **profile.resources.get(section, {})} for section in ("limits", "requests")
        )
        for resource in limits.keys() & requests.keys() if profile.resources else ():
            try:
                less = parse_quantity(limits[resource]) < parse_quantity(requests[resource])  # type: ignore[no-untyped-call]
            except ValueError:  # the rules for Jobs say so
                continue
            if less:
                sentences.append(
                    f'jobs.profiles.{name}.resources.limits.{resource} "{limits[resource]}" is less than '
                    f'requests.{resource} "{requests[resource]}"; what a profile does not say is as jobs.resources '
                    "says, so give both."
                )
    return sentences


def out_of_place(
    profiles: Mapping[str, ProfileSettings],
    rules: tuple[ProfileRule, ...],
    *,
    labels: tuple[str, ...],
    gpu: bool,
    protocol: str,
) -> list[str]:
    """Sentences on what does not fit the rest of the configuration.

    Args:
        profiles: by name.
        rules: on profiles that there are.
        labels: of the node's databases.
        gpu: whether algorithms ask for GPUs (`node.algorithm_device_requests.gpu`).
        protocol: the server's.
    """
    sentences = []
    for index, rule in enumerate(rules):
        path = f"jobs.profileRules[{index}]"
        for label in rule.databases or ():
            if label not in labels:
                have = f"node.databases has {', '.join(labels) or 'none'}"
                sentences.append(f'{path}.databases: "{label}" is the label of no database; {have}.')
        if rule.devices and profiles[rule.profile].gpu is None:
            sentences.append(
                f'{path}.profile "{rule.profile}" grants no GPU to runs that ask for one; '
                f"set jobs.profiles.{rule.profile}.gpu, or name another profile."
            )
    if gpu and not any(rule.devices for rule in rules):
        sentences.append(
            "node.algorithm_device_requests.gpu is true, but no rule of jobs.profileRules has devices: [gpu], so no "
            "algorithm would get one; add a rule whose profile has a gpu, or set it to false."
        )
    for name, profile in profiles.items():
        if protocol == "poc" and profile.template:
            sentences.append(
                f'jobs.profiles.{name}.template "{profile.template}" can\'t be used with server.protocol "poc", which '
                "has a template of its own; leave it out."
            )
    return sentences
