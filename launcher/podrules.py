"""The rules for a job's pod and its container: an allow-list of their fields, with what each must be.

What the fields mean: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/. The level
`restricted` is https://kubernetes.io/docs/concepts/security/pod-security-standards/; the tables go beyond it.
"""

from collections.abc import Iterator
from typing import Any

from launcher.allowlist import (
    Rule,
    Violation,
    anything,
    at_least,
    each,
    exactly,
    fields,
    one_of,
    refused,
    same,
    single,
    text,
)
from launcher.jobcontext import Context
from launcher.mountrules import MOUNT, volumes

CONTAINER = "algorithm"
NOBODY = "an algorithm has no business with the cluster's API"
NO_DNS = "an algorithm resolves no names but those that the node gives it"
SHARED = "the algorithm would share what belongs to the machine"
RESTRICTED = "algorithms keep the Pod Security Standard 'restricted'"
APPROVED = "nothing runs but the approved image"
OWN_USER = "algorithms run as the user of jobs.securityContext in the chart's values, never as root"
REMOVE = "remove it from the template"

POD_REASONS = {
    "nodeName": "it bypasses the scheduler; a nodeSelector chooses machines",
    "serviceAccount": "it is the old name of serviceAccountName",
    "initContainers": APPROVED,
    "ephemeralContainers": APPROVED,
    "hostname": "the pod's name is its host name",
    "subdomain": "an algorithm has no name in the cluster's DNS",
    "setHostnameAsFQDN": "an algorithm has no name in the cluster's DNS",
    "readinessGates": "nobody waits for an algorithm to be ready",
    "schedulingGates": "nobody would open the gate",
    "resourceClaims": "devices are granted by the chart's values",
}
POD_SECURITY_REASONS = {
    "fsGroup": "kubelet would change the owner of the databases' files",
    "fsGroupChangePolicy": "kubelet would change the owner of the databases' files",
    "sysctls": SHARED,
    "windowsOptions": "algorithms run on Linux",
}
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
}
DEVICES = "what is more than cpu, memory and disk is granted by jobs.resources in the chart's values"
ORDINARY_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})

_SECCOMP = fields(
    required={"type": one_of(("RuntimeDefault", "Localhost"), RESTRICTED)}, optional={"localhostProfile": text}
)


def pod(context: Context) -> Rule:
    """The pod's spec: no API, no names, nothing of the machine, one container, an end."""
    isolation = context.isolation
    aliases = [{"ip": alias.ip, "hostnames": list(alias.hostnames)} for alias in isolation.host_aliases]
    hidden = exactly(False, SHARED, REMOVE)
    return fields(
        required={
            "restartPolicy": exactly("Never", "a run is executed once"),
            "activeDeadlineSeconds": at_least(1, "every run has an end"),
            "serviceAccountName": exactly(isolation.service_account, NOBODY),
            "automountServiceAccountToken": exactly(False, NOBODY),
            "enableServiceLinks": exactly(False, "an algorithm need not know the namespace's Services"),
            "dnsPolicy": exactly("None", NO_DNS),
            "dnsConfig": exactly({"nameservers": [isolation.nameserver]}, NO_DNS),
            "hostAliases": exactly(aliases, NO_DNS),
            "securityContext": _pod_security(context),
            "containers": single(_container(context), APPROVED),
            "volumes": volumes(context),
        },
        optional={
            "terminationGracePeriodSeconds": at_least(0, "it is a time in seconds"),
            "imagePullSecrets": each(
                fields(
                    required={"name": one_of(context.image.pull_secrets, "the chart's values name the pull secrets")}
                )
            ),
            "nodeSelector": anything,
            "tolerations": anything,
            "affinity": anything,
            "topologySpreadConstraints": anything,
            "priorityClassName": text,
            "preemptionPolicy": text,
            "schedulerName": text,
            "runtimeClassName": text,
            "hostNetwork": hidden,
            "hostPID": hidden,
            "hostIPC": hidden,
            "shareProcessNamespace": hidden,
            "hostUsers": exactly(False, SHARED),
        },
        reasons=POD_REASONS,
    )


def _pod_security(context: Context) -> Rule:
    profile = context.profile
    return fields(
        required={
            "runAsNonRoot": exactly(True, RESTRICTED),
            "runAsUser": _user(profile.run_as_user),
            "runAsGroup": exactly(profile.run_as_group, OWN_USER),
            "seccompProfile": _SECCOMP,
        },
        optional={
            "supplementalGroups": exactly(list(profile.supplemental_groups), "the chart's values name the groups"),
            "supplementalGroupsPolicy": one_of(("Merge", "Strict"), RESTRICTED),
            "appArmorProfile": _SECCOMP,
            "seLinuxOptions": fields(
                required={},
                optional={
                    "level": text,
                    "type": one_of(("container_t", "container_init_t", "container_kvm_t"), RESTRICTED),
                },
            ),
        },
        reasons=POD_SECURITY_REASONS,
    )


def _user(expected: int) -> Rule:
    def rule(path: str, value: object) -> Iterator[Violation]:
        if value == 0:
            yield refused(path, value, OWN_USER, "set jobs.securityContext.runAsUser to a number above 0")
        else:
            yield from exactly(expected, OWN_USER)(path, value)

    return rule


def _container(context: Context) -> Rule:
    """The one container: the approved image, with bounds."""
    return fields(
        required={
            "name": exactly(CONTAINER, "the launcher reads the log and the exit code of the container of this name"),
            "image": exactly(context.image.ref, APPROVED),
            "imagePullPolicy": exactly(context.image.pull_policy, APPROVED),
            "env": each(_variable(context)),
            "resources": _resources(context),
            "securityContext": fields(
                required={
                    "allowPrivilegeEscalation": exactly(False, RESTRICTED),
                    "readOnlyRootFilesystem": exactly(True, "an algorithm leaves nothing behind but its output"),
                    "capabilities": exactly({"drop": ["ALL"]}, RESTRICTED),
                },
                optional={
                    "privileged": exactly(False, SHARED, REMOVE),
                    "runAsNonRoot": exactly(True, RESTRICTED),
                    "runAsUser": _user(context.profile.run_as_user),
                    "runAsGroup": exactly(context.profile.run_as_group, OWN_USER),
                    "seccompProfile": _SECCOMP,
                    "appArmorProfile": _SECCOMP,
                },
            ),
            "volumeMounts": each(MOUNT),
        },
        optional={
            "command": anything,
            "args": anything,
            "workingDir": text,
            "terminationMessagePath": text,
            "terminationMessagePolicy": text,
        },
        reasons=CONTAINER_REASONS,
    )


def _resources(context: Context) -> Rule:
    """Requests and limits; what is more than cpu, memory and disk exactly as the chart's values grant it."""

    def quantities(section: str, necessary: tuple[str, ...]) -> Rule:
        granted = context.profile.resources.get(section) or {}
        devices = {name: value for name, value in granted.items() if name not in ORDINARY_RESOURCES}
        return fields(
            required=dict.fromkeys(necessary, anything),
            optional=dict.fromkeys(ORDINARY_RESOURCES.difference(necessary), anything)
            | {name: exactly(value, DEVICES) for name, value in devices.items()},
            unknown=DEVICES,
            missing=f"set it, or jobs.resources.{section} in the chart's values",
        )

    return fields(
        required={"requests": quantities("requests", ("cpu", "memory")), "limits": quantities("limits", ("memory",))},
        reasons={"claims": DEVICES},
        missing="set it, or jobs.resources in the chart's values",
    )


def _variable(context: Context) -> Rule:
    """A variable with a plain value, or one that a database asked for has from its Secret.

    The value itself is in no sentence: it may be confidential.
    """
    secret = {
        name: {"secretKeyRef": {"name": where.secret, "key": where.key}} for name, where in context.secret_env.items()
    }
    plain = "a variable has a name and a plain value, none from Secrets, ConfigMaps or the pod"

    def rule(path: str, value: object) -> Iterator[Violation]:
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            yield refused(path, {}, plain, "write name and value")
        elif "valueFrom" in value:
            if set(value) != {"name", "valueFrom"} or not same(value["valueFrom"], secret.get(value["name"])):
                yield refused(f"{path}.valueFrom", {}, plain, "write a value, or remove it from the template")
        elif set(value) - {"value"} != {"name"}:
            yield refused(path, {}, plain, "write name and value")
        elif not isinstance(value.get("value", ""), str):
            yield refused(f"{path}.value", {}, f"the variable {value['name']!r} is not text", "put it in quotes")

    return rule


def announcements(spec: dict[str, Any], context: Context) -> Iterator[Violation]:
    """The variables by which Kubernetes announces its API server are blank; of several of one name the last holds."""
    variables = {entry["name"]: entry.get("value", "") for entry in spec["containers"][0]["env"]}
    for name in context.isolation.blank_variables:
        if variables.get(name) != "":
            path = f"spec.template.spec.containers[0].env[{name}]"
            yield Violation(path, f"{path} must be blank ({NOBODY}); give it the value '' after all other variables.")
