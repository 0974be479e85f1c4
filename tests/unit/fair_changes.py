"""What a template may say, beyond what the shipped one does."""

from tests.unit.changed_job import BOX, POD

FAIR_CASES: list[tuple[str, object]] = [
    ("spec.completionMode", "NonIndexed"),
    ("spec.suspend", False),
    (f"{POD}.affinity", {"nodeAffinity": {}}),
    (f"{POD}.topologySpreadConstraints", []),
    (f"{POD}.preemptionPolicy", "Never"),
    (f"{POD}.schedulerName", "default-scheduler"),
    (f"{POD}.hostNetwork", False),
    (f"{POD}.hostPID", False),
    (f"{POD}.hostIPC", False),
    (f"{POD}.hostUsers", False),
    (f"{POD}.shareProcessNamespace", False),
    (f"{POD}.nodeSelector", {"disk": "fast"}),
    (f"{POD}.tolerations", [{"operator": "Exists"}]),
    (f"{POD}.terminationGracePeriodSeconds", 0),
    (f"{POD}.securityContext.supplementalGroupsPolicy", "Strict"),
    (f"{POD}.securityContext.seccompProfile", {"type": "Localhost", "localhostProfile": "profiles/a.json"}),
    (f"{POD}.securityContext.appArmorProfile", {"type": "RuntimeDefault"}),
    (f"{POD}.securityContext.seLinuxOptions", {"level": "s0:c1,c2"}),
    *(
        (f"{POD}.securityContext.seLinuxOptions", {"type": kind})
        for kind in ("container_t", "container_init_t", "container_kvm_t")
    ),
    (f"{POD}.volumes.+", {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}),
    (f"{POD}.volumes.+", {"name": "more", "emptyDir": {"medium": "", "sizeLimit": 1}}),
    (f"{BOX}.volumeMounts.+", {"name": "tmp", "mountPath": "/var/tmp"}),
    *((f"{BOX}.volumeMounts.3.recursiveReadOnly", word) for word in ("Disabled", "IfPossible", "Enabled")),
    (f"{BOX}.command", ["python", "main.py"]),
    (f"{BOX}.args", ["--fast"]),
    (f"{BOX}.workingDir", "/tmp"),
    (f"{BOX}.terminationMessagePath", "/dev/termination-log"),
    (f"{BOX}.terminationMessagePolicy", "FallbackToLogsOnError"),
    (f"{BOX}.resources.limits.cpu", 2),
    (f"{BOX}.resources.limits.<ephemeral-storage>", "1Gi"),
    (f"{BOX}.env.+", {"name": "OMP_NUM_THREADS", "value": "2"}),
    (f"{BOX}.env.+", {"name": "EMPTY"}),
    (f"{BOX}.securityContext.privileged", False),
    (f"{BOX}.securityContext.runAsNonRoot", True),
    (f"{BOX}.securityContext.runAsUser", 65532),
    (f"{BOX}.securityContext.runAsGroup", 65532),
    (f"{BOX}.securityContext.seccompProfile", {"type": "RuntimeDefault"}),
    (f"{BOX}.securityContext.appArmorProfile", {"type": "Localhost", "localhostProfile": "a"}),
]
