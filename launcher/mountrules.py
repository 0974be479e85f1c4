"""The rules for volumes: the run's own directories, the databases it asked for, scratch space, and nothing else."""

from collections.abc import Iterator, Mapping
from typing import Any

from launcher.allowlist import Rule, Violation, each, exactly, fields, one_of, quantity, refused, text, truth
from launcher.jobcontext import Context, Profile
from launcher.rules import API_ACCESS, MOUNTS, POD_SECURITY

VOLUME_REASONS = {
    "hostPath": "an algorithm sees nothing of the machine",
    "secret": "Secrets of the namespace are not for algorithms",
    "configMap": "ConfigMaps of the namespace are not for algorithms",
    "projected": "it may hold a token for the cluster's API",
    "downwardAPI": "an algorithm need not know its place in the cluster",
    "csi": "it may mount whatever its driver offers",
    "ephemeral": "a run's claims are made by the chart",
    "nfs": "a database is a claim that the chart's values name",
    "image": "nothing runs but the approved image",
}
OTHER_CLAIM = "a job mounts the task volume and the databases that its task asked for"
UNBOUNDED = "scratch space has a limit, or it could fill the machine's disk"

MOUNT = fields(
    required={"name": text, "mountPath": text},
    optional={
        "subPath": text,
        "readOnly": truth,
        "recursiveReadOnly": one_of(("Disabled", "IfPossible", "Enabled"), "Kubernetes knows no other"),
    },
    reasons={
        "subPathExpr": "what is mounted must be seen in the manifest",
        "mountPropagation": "an algorithm's mounts stay its own",
    },
)


def volumes(context: Context) -> Rule:
    """Each volume is a claim of this run or scratch space with a limit."""
    content = fields(
        required={"name": text},
        optional={"persistentVolumeClaim": _claim(context), "emptyDir": _scratch(context.profile)},
        reasons=VOLUME_REASONS,
        held_by={"hostPath": POD_SECURITY, "projected": API_ACCESS},
    )

    def rule(path: str, value: object) -> Iterator[Violation]:
        yield from content(path, value)
        # Kubernetes makes a volume without a source an emptyDir without a limit.
        if isinstance(value, dict) and value.keys() <= {"name"}:
            yield Violation(path, f"{path} has no source ({UNBOUNDED}); give it an emptyDir with a sizeLimit.")

    return each(rule)


def _scratch(profile: Profile) -> Rule:
    """Within the cap on disk, or where there is none as big as /tmp may be."""
    cap, size = profile.caps.get("ephemeral-storage"), profile.tmp_size_limit
    limit = (
        quantity(size, "jobs.tmpSizeLimit in the chart's values", "raise it there, or set jobs.caps.ephemeralStorage")
        if cap is None
        else quantity(cap, "jobs.caps.ephemeralStorage in the chart's values", "raise the cap")
    )
    return fields(
        required={"sizeLimit": limit},
        optional={"medium": one_of(("", "Memory"), "Kubernetes knows no other")},
        missing=f"set it ({UNBOUNDED})",
    )


def _claim(context: Context) -> Rule:
    databases = tuple(dict.fromkeys(database.claim for database in context.databases))
    task = context.files.claim
    own = fields(required={"claimName": one_of((task, *databases), OTHER_CLAIM)}, optional={"readOnly": truth})
    read_only = exactly(True, "databases are read-only")

    def rule(path: str, value: object) -> Iterator[Violation]:
        yield from own(path, value)
        if isinstance(value, dict) and value.get("claimName") in databases and value["claimName"] != task:
            yield from read_only(f"{path}.readOnly", value.get("readOnly", False))

    return rule


def mount_violations(spec: dict[str, Any], context: Context) -> Iterator[Violation]:
    """Of the claims, only the run's own directories and its databases are mounted, each as it may be.

    `spec` is a pod spec whose containers and volumes by themselves are right.
    """
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in spec["volumes"]
        if "persistentVolumeClaim" in volume
    }
    for section in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(section, ())):
            path = f"spec.template.spec.{section}[{index}].volumeMounts"
            if container["name"] == "algorithm" and section == "containers":
                yield from _algorithm_mounts(path, container["volumeMounts"], claims, context)
            else:
                yield from _companion_mounts(path, container["volumeMounts"], claims)


def _algorithm_mounts(
    path: str, mounts: list[dict[str, Any]], claims: Mapping[str, str], context: Context
) -> Iterator[Violation]:
    files = context.files
    own = {files.data_sub_path, files.tmp_sub_path, files.output_sub_path} - {None}
    writable = {(files.claim, sub_path) for sub_path in own}
    # A database in the task volume would show other runs' files.
    readable = {(database.claim, database.sub_path) for database in context.databases if database.claim != files.claim}
    output = False
    for index, mount in enumerate(mounts):
        if mount["name"] not in claims:
            continue
        part = (claims[mount["name"]], mount.get("subPath"))
        where = f"{path}[{index}]"
        if part not in writable | readable:
            remedy = "mount the parts that the shipped template mounts"
            yield refused(f"{where}.subPath", part[1], OTHER_CLAIM, remedy, MOUNTS)
        elif part in readable and mount.get("readOnly") is not True:
            yield refused(f"{where}.readOnly", False, "databases are read-only", "set it to true", MOUNTS)
        output |= part[1] == files.data_sub_path and mount["mountPath"] == files.data_mount_path
    if not output:
        sentence = f"{path} lacks the run's directory at {files.data_mount_path}; mount it, the output goes there."
        yield Violation(path, sentence, MOUNTS)


def _companion_mounts(path: str, mounts: list[dict[str, Any]], claims: Mapping[str, str]) -> Iterator[Violation]:
    """Only scratch space: neither the run's files, with its token, nor databases."""
    for index, mount in enumerate(mounts):
        if mount["name"] in claims:
            why = "the run's files and databases are the algorithm's alone"
            yield refused(f"{path}[{index}].name", mount["name"], why, "mount an emptyDir", MOUNTS)
