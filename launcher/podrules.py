"""The rules for a job's pod: an allow-list of its fields, with what each must be.

What the fields mean: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/. The level
`restricted` is https://kubernetes.io/docs/concepts/security/pod-security-standards/; the tables go beyond it.
"""

from collections.abc import Iterator

from launcher.allowlist import (
    Named,
    Rule,
    Violation,
    anything,
    at_least,
    each,
    exactly,
    fields,
    one_of,
    refused,
    text,
)
from launcher.containerrules import NO_API, companions, containers
from launcher.jobcontext import Context, Profile
from launcher.mountrules import volumes
from launcher.rules import API_ACCESS, DEADLINE, FIELDS, IMAGES, MOUNTS, NETWORK, ONCE, POD_SECURITY, RESOURCES, USER
from launcher.userrules import APPARMOR, RESTRICTED, SECCOMP, SHARED, group, non_root, user

NO_DNS = "an algorithm resolves no names but those that the node gives it"
REMOVE = "remove it from the template"
CLAIMED = "resourceClaimTemplateName of the run's profile, of jobs.profiles in the chart's values, says it"

POD_REASONS = {
    "nodeName": "it bypasses the scheduler; a nodeSelector chooses machines",
    "serviceAccount": "it is the old name of serviceAccountName",
    "ephemeralContainers": "nothing runs but the approved image",
    "hostname": "the pod's name is its host name",
    "subdomain": "an algorithm has no name in the cluster's DNS",
    "setHostnameAsFQDN": "an algorithm has no name in the cluster's DNS",
    "readinessGates": "nobody waits for an algorithm to be ready",
    "schedulingGates": "nobody would open the gate",
    "resourceClaims": "devices are granted by the chart's values",
    "resources": "bounds are those of each container",
    "priority": "a PriorityClass says it, that of jobs.priorityClassName in the chart's values",
}
# What these open is the matter of other rules than that of unknown fields.
POD_HELD_BY = {
    "serviceAccount": API_ACCESS,
    "ephemeralContainers": IMAGES,
    "resourceClaims": RESOURCES,
    "resources": RESOURCES,
    "priority": RESOURCES,
    "hostname": NETWORK,
    "subdomain": NETWORK,
    "setHostnameAsFQDN": NETWORK,
}
POD_SECURITY_REASONS = {
    "fsGroup": "kubelet would change the owner of the databases' files",
    "fsGroupChangePolicy": "kubelet would change the owner of the databases' files",
    "sysctls": SHARED,
    "windowsOptions": "algorithms run on Linux",
}


def pod(context: Context) -> Rule:
    """The pod's spec: no API, no names, nothing of the machine, an end."""
    isolation = context.isolation
    aliases = [{"ip": alias.ip, "hostnames": list(alias.hostnames)} for alias in isolation.host_aliases]
    hidden = Named(POD_SECURITY, exactly(False, SHARED, REMOVE))
    runtime = {"runtimeClassName": Named(POD_SECURITY, _runtime(context.profile))}
    claims = context.profile.gpu.resource_claims if context.profile.gpu else []
    return fields(
        required={
            "restartPolicy": Named(ONCE, exactly("Never", "a run is executed once")),
            "activeDeadlineSeconds": Named(DEADLINE, _deadline(context.profile.max_deadline_seconds)),
            "serviceAccountName": Named(API_ACCESS, exactly(isolation.service_account, NO_API)),
            "automountServiceAccountToken": Named(API_ACCESS, exactly(False, NO_API)),
            "enableServiceLinks": Named(
                API_ACCESS, exactly(False, "an algorithm need not know the namespace's Services")
            ),
            "dnsPolicy": Named(NETWORK, exactly("None", NO_DNS)),
            "dnsConfig": Named(NETWORK, exactly({"nameservers": [isolation.nameserver]}, NO_DNS)),
            "hostAliases": Named(NETWORK, exactly(aliases, NO_DNS)),
            "securityContext": Named(POD_SECURITY, _pod_security(context)),
            "containers": containers(context),
            "volumes": Named(MOUNTS, volumes(context)),
            **(runtime if context.profile.runtime_class_name else {}),
        },
        optional={
            "initContainers": companions(context),
            "terminationGracePeriodSeconds": at_least(0, "it is a time in seconds"),
            "imagePullSecrets": Named(MOUNTS, _pull_secrets(context)),
            "nodeSelector": anything,
            "tolerations": anything,
            "affinity": anything,
            "topologySpreadConstraints": anything,
            "priorityClassName": Named(RESOURCES, _priority(context.profile)),
            "preemptionPolicy": text,
            "schedulerName": text,
            **runtime,
            **({"resourceClaims": Named(RESOURCES, exactly(claims, CLAIMED, REMOVE))} if claims else {}),
            "hostNetwork": hidden,
            "hostPID": hidden,
            "hostIPC": hidden,
            "shareProcessNamespace": hidden,
            "hostUsers": Named(POD_SECURITY, exactly(False, SHARED)),
        },
        reasons=POD_REASONS,
        closed_by=FIELDS,
        held_by=POD_HELD_BY,
    )


def _deadline(most: int | None) -> Rule:
    def rule(path: str, value: object) -> Iterator[Violation]:
        yield from at_least(1, "every run has an end")(path, value)
        if most is not None and isinstance(value, int) and value > most:
            why = f"jobs.caps.activeDeadlineSeconds in the chart's values is {most}"
            yield refused(path, value, why, "lower it, or jobs.activeDeadlineSeconds")

    return rule


def _priority(profile: Profile) -> Rule:
    """That of the chart's values, and never one by which a run would drive out what the cluster lives on."""
    named = profile.priority_class_name

    def rule(path: str, value: object) -> Iterator[Violation]:
        if isinstance(value, str) and value.startswith("system-"):
            yield refused(path, value, "it is for what the cluster lives on", "use a PriorityClass of your own")
        else:
            advice = f"set it to {named}" if named else "remove it from the template, or set it there"
            why = "jobs.priorityClassName in the chart's values says it, or the run's profile there"
            yield from exactly(named, why, advice)(path, value)

    return rule


def _runtime(profile: Profile) -> Rule:
    """That of the run's profile: another may lack what isolates."""
    why = "runtimeClassName of the run's profile, of jobs.profiles in the chart's values, says it"
    named = (profile.runtime_class_name,) if profile.runtime_class_name else ()
    return one_of(named, why, f"{REMOVE}, or set it there")


def _pull_secrets(context: Context) -> Rule:
    return each(
        fields(required={"name": one_of(context.image.pull_secrets, "the chart's values name the pull secrets")})
    )


def _pod_security(context: Context) -> Rule:
    profile = context.profile
    return fields(
        required={
            "runAsNonRoot": non_root(),
            "runAsUser": user(profile),
            "runAsGroup": group(profile),
            "seccompProfile": SECCOMP,
        },
        optional={
            "supplementalGroups": Named(
                USER, exactly(list(profile.supplemental_groups), "the chart's values name the groups")
            ),
            "supplementalGroupsPolicy": one_of(("Merge", "Strict"), RESTRICTED),
            "appArmorProfile": APPARMOR,
            "seLinuxOptions": fields(
                required={},
                optional={
                    "level": text,
                    "type": one_of(("container_t", "container_init_t", "container_kvm_t"), RESTRICTED),
                },
            ),
        },
        reasons=POD_SECURITY_REASONS,
        held_by={"fsGroup": USER, "fsGroupChangePolicy": USER},
    )
