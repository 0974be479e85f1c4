"""The rules for a job's containers: the algorithm's own, and those of the administrator beside it."""

from collections.abc import Iterator, Mapping
from typing import Any

from launcher.allowlist import (
    Named,
    Rule,
    Violation,
    anything,
    each,
    exactly,
    fields,
    one_of,
    quantity,
    refused,
    same,
    text,
)
from launcher.jobcontext import Context, SecretKey
from launcher.mountrules import MOUNT
from launcher.rules import API_ACCESS, FIELDS, IMAGES, MOUNTS, ONCE, POD_SECURITY, RESOURCES, SHAPE
from launcher.userrules import APPARMOR, RESTRICTED, SECCOMP, SHARED, group, non_root, user

CONTAINER = "algorithm"
CONTAINERS = "spec.template.spec.containers"
NO_API = "an algorithm has no business with the cluster's API"
APPROVED = "nothing runs but the approved image"
REMOVE = "remove it from the template"
GRANTS = "jobs.resources in the chart's values, or the run's profile in jobs.profiles there,"
DEVICES = f"what is more than cpu, memory and disk {GRANTS} grants"
PLAIN = "a variable has a name and a plain value, none from Secrets, ConfigMaps or the pod"
TERMINATION_LOG = "/dev/termination-log"
"""Kubernetes' default: a file of the machine, which kubelet mounts there."""
CAPS = "jobs.caps in the chart's values"
ORDINARY_RESOURCES = ("cpu", "memory", "ephemeral-storage")

CONTAINER_REASONS = {
    "envFrom": "Secrets and ConfigMaps of the namespace are not for algorithms",
    "lifecycle": APPROVED,
    "livenessProbe": "the machine would connect to the algorithm",
    "readinessProbe": "the machine would connect to the algorithm",
    "startupProbe": "the machine would connect to the algorithm",
    "ports": "nobody connects to an algorithm",
    "volumeDevices": "an algorithm has no devices of the machine",
    "stdin": "nobody talks to an algorithm",
    "tty": "nobody talks to an algorithm",
    "restartPolicy": "a run is executed once",
    "restartPolicyRules": "a run is executed once",
}
# What these open is the matter of other rules than that of unknown fields.
CONTAINER_HELD_BY = {
    "envFrom": MOUNTS,
    "volumeDevices": MOUNTS,
    "lifecycle": POD_SECURITY,
    "livenessProbe": POD_SECURITY,
    "readinessProbe": POD_SECURITY,
    "startupProbe": POD_SECURITY,
    "ports": POD_SECURITY,
    "restartPolicy": ONCE,
    "restartPolicyRules": ONCE,
}


def containers(context: Context) -> Rule:
    """Exactly one algorithm, and beside it whatever the administrator lists."""
    algorithm, companion = _algorithm(context), _companion(context, {})

    def rule(path: str, value: object) -> Iterator[Violation]:
        members = value if isinstance(value, list) else []
        if [name_of(member) for member in members].count(CONTAINER) != 1:
            why = "the launcher reads the log and the exit code of the one container of this name"
            yield Violation(
                path, f"{path} must have one container named {CONTAINER} ({why}); leave exactly one.", SHAPE
            )
            return
        for index, member in enumerate(members):
            yield from (algorithm if name_of(member) == CONTAINER else companion)(f"{path}[{index}]", member)

    return Named(SHAPE, rule)


def companions(context: Context) -> Rule:
    """Containers that run before the algorithm or, with restartPolicy Always, beside it until its end."""
    beside = exactly("Always", "Kubernetes knows no other")
    return each(_companion(context, {"restartPolicy": beside}))


def name_of(member: object) -> object:
    """The name of a container, if it has any."""
    return member.get("name") if isinstance(member, dict) else None


def _algorithm(context: Context) -> Rule:
    """The approved image, with bounds."""
    granted = context.profile.resources
    return _container(
        context,
        image=exactly(context.image.ref, APPROVED),
        pull_policy=exactly(context.image.pull_policy, APPROVED),
        variables=_variable(context.secret_env),
        resources=_resources(context, granted),
    )


def _companion(context: Context, further: Mapping[str, Rule]) -> Rule:
    """An image of jobs.extraImages, with nothing of the run."""
    listed = "jobs.extraImages in the chart's values lists what may run beside an algorithm"
    return _container(
        context,
        image=one_of(context.profile.extra_images, listed, "add it there, or remove the container from the template"),
        pull_policy=text,
        variables=_variable({}),
        resources=_resources(context, {}),
        further=further,
    )


def _container(
    context: Context,
    *,
    image: Rule,
    pull_policy: Rule,
    variables: Rule,
    resources: Rule,
    further: Mapping[str, Rule] | None = None,
) -> Rule:
    profile = context.profile
    return fields(
        required={
            "name": Named(SHAPE, text),
            "image": Named(IMAGES, image),
            "imagePullPolicy": Named(IMAGES, pull_policy),
            "env": Named(MOUNTS, each(variables)),
            "resources": Named(RESOURCES, resources),
            "securityContext": Named(
                POD_SECURITY,
                fields(
                    required={
                        "allowPrivilegeEscalation": exactly(False, RESTRICTED),
                        "readOnlyRootFilesystem": exactly(True, "an algorithm leaves nothing behind but its output"),
                        "capabilities": exactly({"drop": ["ALL"]}, RESTRICTED),
                    },
                    optional={
                        "privileged": exactly(False, SHARED, REMOVE),
                        "runAsNonRoot": non_root(),
                        "runAsUser": user(profile),
                        "runAsGroup": group(profile),
                        "seccompProfile": SECCOMP,
                        "appArmorProfile": APPARMOR,
                    },
                ),
            ),
            "volumeMounts": Named(MOUNTS, each(MOUNT)),
        },
        optional={
            "command": anything,
            "args": anything,
            "workingDir": text,
            "terminationMessagePath": Named(MOUNTS, exactly(TERMINATION_LOG, "it is mounted over what is there")),
            "terminationMessagePolicy": text,
            **(further or {}),
        },
        reasons=CONTAINER_REASONS,
        closed_by=FIELDS,
        held_by=CONTAINER_HELD_BY,
    )


def _resources(context: Context, granted: Mapping[str, Any]) -> Rule:
    """Requests and limits within the caps; what is more than cpu, memory and disk up to what is granted."""
    caps = context.profile.caps
    # Kubernetes takes a device's limit for its request too.
    known = {**(granted.get("requests") or {}), **(granted.get("limits") or {})}

    def quantities(section: str, necessary: tuple[str, ...]) -> Rule:
        devices = {
            name: _device(most, caps.get("devices") if "/" in name else None)
            for name, most in known.items()
            if name not in ORDINARY_RESOURCES
        }
        ordinary = {name: quantity(caps.get(name), CAPS, "raise the cap") for name in ORDINARY_RESOURCES}
        return fields(
            required={name: ordinary[name] for name in necessary},
            optional={**ordinary, **devices},
            unknown=DEVICES,
            missing=f"set it, or jobs.resources.{section} in the chart's values",
        )

    # What has a cap needs a limit, or it would have none.
    limited = tuple(name for name in ORDINARY_RESOURCES if name == "memory" or name in caps)
    return fields(
        required={"requests": quantities("requests", ("cpu", "memory")), "limits": quantities("limits", limited)},
        optional={"claims": exactly(granted["claims"], DEVICES, REMOVE)} if "claims" in granted else {},
        reasons={"claims": DEVICES},
        missing="set it, or jobs.resources in the chart's values",
    )


def _device(granted: str | float, cap: str | float | None) -> Rule:
    """So many as are granted, within the cap, which is on what is counted: Kubernetes' own names have no domain."""
    within = quantity(granted, GRANTS, "grant more there"), quantity(cap, CAPS, "raise the cap")

    def rule(path: str, value: object) -> Iterator[Violation]:
        yield from next(filter(None, (list(bound(path, value)) for bound in within)), ())

    return rule


def _variable(secret_env: Mapping[str, SecretKey]) -> Rule:
    """A variable with a plain value, or one that a database asked for has from its Secret.

    The value itself is in no sentence: it may be confidential.
    """
    secret = {name: {"secretKeyRef": {"name": where.secret, "key": where.key}} for name, where in secret_env.items()}

    def rule(path: str, value: object) -> Iterator[Violation]:
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            yield refused(path, {}, PLAIN, "write name and value", SHAPE)
        elif "valueFrom" in value:
            if set(value) != {"name", "valueFrom"} or not same(value["valueFrom"], secret.get(value["name"])):
                yield refused(f"{path}.valueFrom", {}, PLAIN, "write a value, or remove it from the template")
        elif set(value) - {"value"} != {"name"}:
            yield refused(path, {}, PLAIN, "write name and value")
        elif not isinstance(value.get("value", ""), str):
            yield refused(f"{path}.value", {}, f"the variable {value['name']!r} is not text", "put it in quotes", SHAPE)

    return rule


def announcements(spec: dict[str, Any], context: Context) -> Iterator[Violation]:
    """The variables by which Kubernetes announces its API server are blank; of several of one name the last holds.

    `spec` is a pod spec whose containers by themselves are right.
    """
    for section in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(section, ())):
            variables = {entry["name"]: entry.get("value", "") for entry in container.get("env", ())}
            for name in context.isolation.blank_variables:
                if variables.get(name) != "":
                    path = f"spec.template.spec.{section}[{index}].env[{name}]"
                    sentence = f"{path} must be blank ({NO_API}); give it the value '' after all other variables."
                    yield Violation(path, sentence, API_ACCESS)


def lost_variables(spec: dict[str, Any], context: Context) -> Iterator[Violation]:
    """The algorithm has all variables of its run, by which it finds what it needs; their values may be others.

    `spec` is a pod spec whose containers by themselves are right.
    """
    index, own = next(each for each in enumerate(spec["containers"]) if name_of(each[1]) == CONTAINER)
    there = {entry["name"] for entry in own["env"]}
    if lost := [name for name in (*context.env, *context.secret_env) if name not in there]:
        path = f"spec.template.spec.containers[{index}].env"
        further = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        why = "variables of the run, by which the algorithm finds what it needs"
        yield Violation(
            path, f"{path} lacks {lost[0]}{further} ({why}); begin block env with {{{{ super() }}}}.", SHAPE
        )
