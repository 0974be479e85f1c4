"""Each rule, broken once: the place, what is put there, the rule's name and what the refusal says."""

import copy
import re
from collections.abc import Mapping
from typing import Any

from launcher.jobcontext import Context, GpuGrant
from launcher.templates import JobTemplates
from tests.unit.example_context import SHIPPED, context, profile

GONE = object()
POD = "spec.template.spec"
BOX = f"{POD}.containers.0"
POD_TEXTS = ("preemptionPolicy", "schedulerName")
BOX_TEXTS = ("workingDir", "terminationMessagePolicy")
# On these other software gives a pod networks, containers, tokens, devices or weaker profiles.
ACTING_ANNOTATIONS = (
    "k8s.v1.cni.cncf.io/networks",
    "container.apparmor.security.beta.kubernetes.io/algorithm",
    "sidecar.istio.io/inject",
    "vault.hashicorp.com/agent-inject",
    "cdi.k8s.io/devices",
    "devices.nri.io/container.algorithm",
    "io.katacontainers.config.hypervisor.kernel",
    "k8s.ovn.org/routing-namespaces",
    "iam.amazonaws.com/role",
)
ACTING_LABELS = ("azure.workload.identity/use", "sidecar.istio.io/inject", "team")
REGISTRY_URI = {"name": "v6-node-database-registry", "key": "REGISTRY_DATABASE_URI"}
OTHER_TOKEN = {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}
COMPANION = {
    "name": "companion",
    "image": "example.org/companion:1",
    "imagePullPolicy": "IfNotPresent",
    "env": [{"name": name, "value": ""} for name in context().isolation.blank_variables],
    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
}
"""A container as an administrator may add one, where jobs.extraImages lists its image."""


def nothing_selects(_: Mapping[str, str]) -> set[str]:
    """A namespace without NetworkPolicies."""
    return set()


_TEMPLATES = JobTemplates(SHIPPED, None)
_manifests: dict[str, dict[str, Any]] = {}


def rendered(facts: Context) -> dict[str, Any]:
    """The shipped job, a copy of its own each time; rendered once for the same facts, which most cases share."""
    key = repr(facts)
    if key not in _manifests:
        _manifests[key] = _TEMPLATES.render("job.yaml.j2", facts)
    return copy.deepcopy(_manifests[key])


def changed(path: str, value: object, facts: Context | None = None) -> dict[str, Any]:
    """The shipped job with `value` at a dotted path; a number is a list's index, + its end."""
    manifest: Any = rendered(facts or context())
    *way, last = re.split(r"\.(?![^<]*>)", path)
    place = manifest
    for step in way:
        place = place[int(step) if step.isdigit() else step.strip("<>")]
    last = last.strip("<>")
    if value is GONE:
        del place[int(last) if last.isdigit() else last]
    elif last == "+":
        place.append(value)
    else:
        place[int(last) if last.isdigit() else last] = value
    return manifest


CASES: list[tuple[str, object, str]] = [
    # 1: whose it is
    ("kind", "CronJob", 'kind: "CronJob" is not allowed .*exactly one batch/v1 Job.*; set it to "Job"'),
    ("apiVersion", "batch/v1beta1", "apiVersion: .*exactly one batch/v1 Job"),
    ("status", {}, "status is not allowed .*not among the fields"),
    ("metadata.name", "run-13", 'metadata.name: "run-13" is not allowed .*; set it to "run-12"'),
    ("metadata.name", GONE, "metadata.name is missing"),
    ("metadata.namespace", "kube-system", 'metadata.namespace: .*; set it to "hospital-a"'),
    ("metadata.generateName", "run-", "metadata.generateName: .*executed once"),
    ("metadata.finalizers", ["x"], "metadata.finalizers is not allowed .*keep the job from being deleted"),
    ("metadata.labels.<v6-node.vantage6.ai/run-id>", "13", r'metadata.labels\["v6-node.*run-id"\]: "13" .*"12"'),
    ("metadata.labels.<v6-node.vantage6.ai/run-id>", 12, r'run-id"\]: 12 is not allowed'),
    ("metadata.labels.<v6-node.vantage6.ai/run-id>", GONE, 'run-id"] is missing; set it to "12"'),
    ("metadata.labels.<v6-node.vantage6.ai/role>", "proxy", "role.* policies go by it"),
    ("metadata.labels.team", "research", 'metadata.labels.team: "research" .*; add it to jobs.podLabels in'),
    ("metadata.labels.<app.kubernetes.io/part-of>", "x", 'part-of"]: "x" .*; add it to jobs.podLabels'),
    ("metadata.annotations.<example.org/x>", "", 'example.org/x"]: "" .*; add it to jobs.podAnnotations in'),
    ("metadata.annotations.<v6-node.vantage6.ai/assigned-at>", "2020", "assigned-at.*recognises its jobs"),
    ("metadata.annotations.<v6-node.vantage6.ai/x>", "2020", r"/x.*policies go by it"),
    ("metadata.ownerReferences", GONE, "metadata.ownerReferences is missing"),
    ("metadata.ownerReferences", [], "metadata.ownerReferences is not allowed .*one owner.*leave exactly one"),
    ("metadata.ownerReferences.0.uid", "x", r"ownerReferences\[0\] is not allowed \(uninstalling the node ends"),
    ("metadata.ownerReferences.+", {}, "one owner"),
    # 2: no access to the API
    (f"{POD}.automountServiceAccountToken", True, "automountServiceAccountToken: true .*cluster's API.*false"),
    (f"{POD}.automountServiceAccountToken", 0, "automountServiceAccountToken: 0 "),
    (f"{POD}.automountServiceAccountToken", GONE, "automountServiceAccountToken is missing"),
    (f"{POD}.serviceAccountName", "v6-node-launcher", 'serviceAccountName: .*; set it to "v6-node-algorithm"'),
    (f"{POD}.serviceAccount", "v6-node-launcher", "serviceAccount: .*old name"),
    (f"{POD}.volumes.+", OTHER_TOKEN, r"volumes\[\d\].projected is not allowed \(it may hold a token"),
    (f"{POD}.enableServiceLinks", True, "enableServiceLinks: true"),
    # 3: nothing of the machine
    (f"{POD}.hostNetwork", True, r"hostNetwork: true is not allowed \(.*machine\); remove it from the template"),
    (f"{POD}.hostPID", True, "hostPID: true"),
    (f"{POD}.hostIPC", True, "hostIPC: true"),
    (f"{POD}.hostUsers", True, "hostUsers: true"),
    (f"{POD}.shareProcessNamespace", True, "shareProcessNamespace: true"),
    (f"{POD}.nodeName", "node-1", "nodeName: .*bypasses the scheduler"),
    (f"{POD}.initContainers", {}, "initContainers is not allowed .*must be a list"),
    (
        f"{POD}.ephemeralContainers",
        [{"name": "a", "image": "b"}],
        "ephemeralContainers is not allowed .*approved image",
    ),
    (f"{POD}.somethingNew", True, "somethingNew: true is not allowed .*not among the fields"),
    (f"{POD}.securityContext.runAsUser", 0, "runAsUser: 0 is not allowed .*never as root.*above 0"),
    (f"{POD}.securityContext.runAsUser", 1000, "runAsUser: 1000 .*set it to 65532"),
    (f"{POD}.securityContext.runAsGroup", 0, "runAsGroup: 0 .*set it to 65532"),
    (f"{POD}.securityContext.runAsNonRoot", False, "runAsNonRoot: false"),
    (
        f"{POD}.securityContext.supplementalGroups",
        [0],
        "supplementalGroups is not allowed .*values name the groups",
    ),
    (f"{POD}.securityContext.fsGroup", 65532, "fsGroup: 65532 .*change the owner of the databases' files"),
    (f"{POD}.securityContext.sysctls", [{"name": "a", "value": "b"}], "sysctls is not allowed .*machine"),
    (f"{POD}.securityContext.seccompProfile.type", "Unconfined", "seccompProfile.type: .*use RuntimeDefault or"),
    (f"{POD}.securityContext.seccompProfile", GONE, "seccompProfile is missing"),
    (f"{POD}.securityContext.seLinuxOptions", {"type": "spc_t"}, "seLinuxOptions.type: .*use container_t"),
    (f"{POD}.securityContext.seLinuxOptions", {"user": "root"}, "seLinuxOptions.user: "),
    (f"{POD}.securityContext.appArmorProfile", {"type": "Unconfined"}, "appArmorProfile.type: "),
    (f"{BOX}.securityContext.privileged", True, "privileged: true .*remove it from the template"),
    (f"{BOX}.securityContext.allowPrivilegeEscalation", True, "allowPrivilegeEscalation: true"),
    (f"{BOX}.securityContext.readOnlyRootFilesystem", False, "readOnlyRootFilesystem: false .*set it to true"),
    (f"{BOX}.securityContext.capabilities", {"drop": ["ALL"], "add": ["NET_RAW"]}, "capabilities is not allowed"),
    (f"{BOX}.securityContext.runAsUser", 0, "runAsUser: 0 "),
    (f"{BOX}.securityContext.runAsNonRoot", False, "runAsNonRoot: false"),
    (f"{BOX}.securityContext.procMount", "Unmasked", "procMount: "),
    (f"{BOX}.securityContext.seccompProfile", {"type": "Unconfined"}, "seccompProfile.type: "),
    (f"{BOX}.ports", [{"containerPort": 1, "hostPort": 1}], "ports is not allowed .*nobody connects"),
    (f"{BOX}.livenessProbe", {"httpGet": {"host": "x", "port": 1}}, "livenessProbe is not allowed .*would connect"),
    (f"{BOX}.lifecycle", {}, "lifecycle is not allowed"),
    (f"{BOX}.volumeDevices", [{"name": "task", "devicePath": "/dev/a"}], "volumeDevices is not allowed"),
    (f"{BOX}.stdin", True, "stdin: true"),
    *(
        (
            f"spec.template.metadata.annotations.<{key}>",
            "true",
            rf"{key}.*; add it to jobs\.podAnnotations in the chart",
        )
        for key in ACTING_ANNOTATIONS
    ),
    *(
        (f"spec.template.metadata.labels.<{key}>", "true", rf"{key}.*; add it to jobs\.podLabels in the chart")
        for key in ACTING_LABELS
    ),
    (
        "spec.template.metadata.annotations.<karpenter.sh/do-not-disrupt>",
        "false",
        'do-not-disrupt"]: "false" .*; set it to "true"',
    ),
    (
        "spec.template.metadata.annotations.<batch.kubernetes.io/job-tracking>",
        "",
        'job-tracking"]: "" .*policies go by it',
    ),
    ("spec.template.metadata.finalizers", ["x"], "finalizers is not allowed"),
    (f"{POD}.priorityClassName", "system-node-critical", "priorityClassName: .*the cluster lives on"),
    (f"{POD}.priorityClassName", "system-cluster-critical", "priorityClassName: .*a PriorityClass of your own"),
    (f"{POD}.priorityClassName", "high", 'priorityClassName: "high" .*jobs.priorityClassName .*or set it there'),
    (f"{POD}.priorityClassName", 1, "priorityClassName: 1 is not allowed"),
    (f"{POD}.runtimeClassName", "gvisor", 'runtimeClassName: "gvisor" .*jobs.profiles .*or set it there'),
    (f"{BOX}.terminationMessagePath", "/etc/hosts", 'terminationMessagePath: "/etc/hosts" .*"/dev/termination-log"'),
    # 4: isolation
    ("spec.template.metadata.labels.<v6-node.vantage6.ai/role>", GONE, 'role"] is missing; set it to "algorithm"'),
    ("spec.template.metadata.labels.<v6-node.vantage6.ai/role>", "proxy", 'role.*; set it to "algorithm"'),
    ("spec.template.metadata.labels.<v6-node.vantage6.ai/database-x>", "true", "database-x.*policies go by it"),
    ("spec.template.metadata.labels.<app.kubernetes.io/component>", "proxy", "component.*policies go by it"),
    (f"{POD}.dnsPolicy", "ClusterFirst", 'dnsPolicy: "ClusterFirst" .*; set it to "None"'),
    (f"{POD}.dnsPolicy", GONE, "dnsPolicy is missing"),
    (f"{POD}.dnsConfig.nameservers.+", "8.8.8.8", "dnsConfig is not allowed .*resolves no names but"),
    (f"{POD}.dnsConfig.searches", ["example.org"], "dnsConfig is not allowed"),
    (f"{POD}.hostAliases.+", {"ip": "1.2.3.4", "hostnames": ["x"]}, "hostAliases is not allowed"),
    (f"{POD}.hostAliases.0.ip", "1.2.3.4", "hostAliases is not allowed"),
    (f"{POD}.subdomain", "x", "subdomain: "),
    (f"{POD}.hostname", "x", "hostname: "),
    *(
        (f"{BOX}.env.+", {"name": name, "value": "x"}, rf"env\[{name}\] must be blank")
        for name in context().isolation.blank_variables
    ),
    (f"{BOX}.env.4.name", "OTHER", r"env\[KUBERNETES_SERVICE_HOST\] must be blank"),
    # 5: what is mounted
    (f"{POD}.volumes.+", {"name": "h", "hostPath": {"path": "/"}}, r"hostPath is not allowed \(.*machine"),
    (f"{POD}.volumes.+", {"name": "s", "secret": {"secretName": "v6-node-secrets"}}, "secret is not allowed"),
    (f"{POD}.volumes.+", {"name": "c", "configMap": {"name": "v6-node-config"}}, "configMap is not allowed"),
    (f"{POD}.volumes.+", {"name": "c", "csi": {"driver": "x"}}, "csi is not allowed"),
    (f"{POD}.volumes.+", {"name": "c", "downwardAPI": {}}, "downwardAPI is not allowed"),
    (f"{POD}.volumes.+", {"name": "c", "ephemeral": {}}, "ephemeral is not allowed"),
    (f"{POD}.volumes.+", {"name": "c", "nfs": {"server": "x", "path": "/"}}, "nfs is not allowed"),
    (f"{POD}.volumes.+", {"name": "c", "iscsi": {}}, "iscsi is not allowed .*not among the fields"),
    (f"{POD}.volumes.+", {"name": "c"}, r"volumes\[\d\] has no source .*give it an emptyDir with a sizeLimit"),
    (f"{POD}.volumes.+", {"name": "c", "emptyDir": {}}, "emptyDir.sizeLimit is missing"),
    (f"{POD}.volumes.+", {"name": "c", "emptyDir": {"sizeLimit": "0"}}, 'sizeLimit: "0" .*no bound at all'),
    (
        f"{POD}.volumes.+",
        {"name": "c", "emptyDir": {"sizeLimit": "1000Ti"}},
        'sizeLimit: "1000Ti" .*jobs.tmpSizeLimit .*allows 1Gi',
    ),
    (
        f"{POD}.volumes.+",
        {"name": "c", "persistentVolumeClaim": {"claimName": "other"}},
        'claimName: "other" is not allowed .*use v6-node-tasks or v6-node-database-default or registry-data',
    ),
    (f"{POD}.volumes.2.persistentVolumeClaim.readOnly", False, "readOnly: false .*databases are read-only"),
    (f"{POD}.volumes.2.persistentVolumeClaim.readOnly", GONE, "readOnly: false .*databases are read-only"),
    (f"{BOX}.volumeMounts.3.readOnly", False, r"volumeMounts\[3\].readOnly: false .*databases are read-only"),
    (f"{BOX}.volumeMounts.3.readOnly", GONE, r"volumeMounts\[3\].readOnly: false .*databases are read-only"),
    (f"{BOX}.volumeMounts.4.subPath", "2026", r"subPath: \"2026\" is not allowed .*databases that its task asked"),
    (f"{BOX}.volumeMounts.4.subPath", GONE, "subPath: null is not allowed"),
    (f"{BOX}.volumeMounts.2.subPath", "runs", 'subPath: "runs" is not allowed .*mounts the task volume'),
    (f"{BOX}.volumeMounts.2.subPath", GONE, "subPath: null is not allowed"),
    (f"{BOX}.volumeMounts.+", {"name": "task", "mountPath": "/all"}, r"volumeMounts\[6\].subPath: null"),
    (f"{BOX}.volumeMounts.2.subPathExpr", "$(A)", "subPathExpr: .*must be seen in the manifest"),
    (f"{BOX}.volumeMounts.2.mountPropagation", "Bidirectional", "mountPropagation: "),
    (f"{BOX}.volumeMounts.1", GONE, "volumeMounts lacks the run's directory at /mnt/data; mount it"),
    (f"{BOX}.volumeMounts.1.mountPath", "/mnt/other", "volumeMounts lacks the run's directory"),
    (f"{BOX}.envFrom", [{"secretRef": {"name": "x"}}], "envFrom is not allowed .*Secrets"),
    (
        f"{BOX}.env.+",
        {"name": "X", "valueFrom": {"secretKeyRef": {"name": "v6-node-secrets", "key": "api_key"}}},
        r"env\[12\]\.valueFrom is not allowed .*none from Secrets",
    ),
    (f"{POD}.imagePullSecrets.+", {"name": "v6-node-secrets"}, r"imagePullSecrets\[1\].name: .*use registry"),
    # 6: once, and with an end
    ("spec.backoffLimit", 1, r"spec.backoffLimit: 1 is not allowed \(a run is executed once\); set it to 0"),
    ("spec.backoffLimit", False, "spec.backoffLimit: false"),
    ("spec.backoffLimit", GONE, "spec.backoffLimit is missing"),
    ("spec.completions", 2, "spec.completions: 2"),
    ("spec.parallelism", 2, "spec.parallelism: 2"),
    ("spec.completionMode", "Indexed", "spec.completionMode: "),
    ("spec.podReplacementPolicy", "TerminatingOrFailed", "spec.podReplacementPolicy: "),
    ("spec.suspend", True, "spec.suspend: true .*never starts"),
    ("spec.podFailurePolicy", GONE, "spec.podFailurePolicy is missing"),
    ("spec.podFailurePolicy.rules.0.action", "Ignore", "spec.podFailurePolicy is not allowed .*executed twice"),
    ("spec.managedBy", "example.org/other", "spec.managedBy: .*not among the fields"),
    ("spec.manualSelector", True, "spec.manualSelector: true .*not among the fields"),
    ("spec.activeDeadlineSeconds", 60, "spec.activeDeadlineSeconds: 60 .*deletes the pod and its log"),
    ("spec.ttlSecondsAfterFinished", 0, "spec.ttlSecondsAfterFinished: 0 .*launcher deletes"),
    (f"{POD}.restartPolicy", "OnFailure", 'restartPolicy: "OnFailure" .*; set it to "Never"'),
    (f"{POD}.activeDeadlineSeconds", GONE, "activeDeadlineSeconds is missing"),
    (f"{POD}.activeDeadlineSeconds", 0, "activeDeadlineSeconds: 0 .*every run has an end"),
    (f"{POD}.activeDeadlineSeconds", True, "activeDeadlineSeconds: true"),
    (f"{POD}.terminationGracePeriodSeconds", -1, "terminationGracePeriodSeconds: -1"),
    # 7: resources
    (f"{BOX}.resources", GONE, "resources is missing"),
    (f"{BOX}.resources.limits", GONE, "limits is missing; set it, or jobs.resources in the chart's values"),
    (f"{BOX}.resources.limits", {}, "limits.memory is missing; set it, or jobs.resources.limits in the chart's"),
    (f"{BOX}.resources.requests", {"memory": "1Gi"}, "requests.cpu is missing"),
    (f"{BOX}.resources.limits.<nvidia.com/gpu>", 1, r'limits\["nvidia.com/gpu"\]: 1 .*jobs.profiles there, grants'),
    (f"{BOX}.resources.requests.cpu", "much", 'requests.cpu: "much" is not allowed .*must be a quantity'),
    (f"{BOX}.resources.limits.memory", True, "limits.memory: true is not allowed .*must be a quantity"),
    (f"{BOX}.resources.limits.memory", float("nan"), "limits.memory: NaN is not allowed .*must be a quantity"),
    *(
        (f"{BOX}.resources.{section}.{name}", none, f"{section}.{name}: .*takes 0 for no bound at all.*above 0")
        for section, name, none in [
            ("limits", "cpu", 0),
            ("limits", "memory", "0"),
            ("limits", "memory", "-1Gi"),
            ("requests", "cpu", "0m"),
            ("requests", "memory", "0Gi"),
        ]
    ),
    *(
        (f"{BOX}.resources.{section}.<ephemeral-storage>", "0", 'ephemeral-storage"]: "0" .*no bound at all')
        for section in ("limits", "requests")
    ),
    (f"{BOX}.resources.claims", [{"name": "a"}], "resources.claims is not allowed .*grants"),
    (f"{POD}.resourceClaims", [{"name": "a"}], "resourceClaims is not allowed .*granted by"),
    # 8: the image
    (f"{BOX}.image", "evil:1", 'image: "evil:1" is not allowed .*; set it to "ghcr.io/example/average:1"'),
    (f"{BOX}.imagePullPolicy", "Never", "imagePullPolicy: .*IfNotPresent"),
    (f"{BOX}.name", "main", "containers must have one container named algorithm .*the log and the exit code"),
    (f"{POD}.containers.+", {"name": "algorithm"}, "one container named algorithm .*leave exactly one"),
    (f"{POD}.containers", [], "containers must have one container named algorithm"),
    (f"{POD}.containers.+", COMPANION, r"containers\[1\].image: .*jobs.extraImages in the chart's values lists"),
    (f"{POD}.initContainers", [COMPANION], r"initContainers\[0\].image: .*jobs.extraImages in the chart's values"),
    # What nobody but the table of its reason knows.
    (f"{POD}.volumes.+", {"name": "i", "image": {"reference": "x"}}, "image is not allowed .*approved image"),
    (f"{POD}.setHostnameAsFQDN", True, "setHostnameAsFQDN: true .*cluster's DNS"),
    (f"{POD}.readinessGates", [{"conditionType": "a"}], "readinessGates is not allowed .*waits for"),
    (f"{POD}.schedulingGates", [{"name": "a.org/b"}], "schedulingGates is not allowed .*open the gate"),
    (f"{POD}.resources", {"limits": {"memory": "1Ti"}}, "spec.resources is not allowed .*each container"),
    (f"{POD}.priority", 2000001000, "priority: 2000001000 .*PriorityClass says it"),
    (f"{POD}.nodeName", "n" * 100, "n… is not allowed (it bypasses"),
    (f"{POD}.securityContext.fsGroupChangePolicy", "Always", "fsGroupChangePolicy: .*databases' files"),
    (f"{POD}.securityContext.windowsOptions", {"hostProcess": True}, "windowsOptions is not allowed .*on Linux"),
    (f"{BOX}.readinessProbe", {"tcpSocket": {"host": "x", "port": 1}}, "readinessProbe is not allowed .*would connect"),
    (f"{BOX}.startupProbe", {"tcpSocket": {"host": "x", "port": 1}}, "startupProbe is not allowed .*would connect"),
    (f"{BOX}.tty", True, "tty: true .*nobody talks"),
    (f"{BOX}.restartPolicy", "Always", "restartPolicy: .*executed once"),
    (f"{BOX}.restartPolicyRules", [{"action": "Restart"}], "restartPolicyRules is not allowed .*executed once"),
    (f"{BOX}.resources.requests", {"cpu": 1}, "requests.memory is missing"),
    # Another type than a table expects.
    (f"{POD}.securityContext", [], "securityContext is not allowed .*must be a mapping"),
    ("metadata.labels", [], "metadata.labels is not allowed .*must be a mapping"),
    ("metadata.ownerReferences", "x", "metadata.ownerReferences is not allowed .*leave exactly one"),
    (f"{POD}.activeDeadlineSeconds", "soon", 'activeDeadlineSeconds: "soon"'),
    (f"{POD}.activeDeadlineSeconds", 1.5, "activeDeadlineSeconds: 1.5"),
    (f"{POD}.volumes.+", "x", r'volumes\[\d\]: "x" is not allowed .*must be a mapping'),
    (f"{POD}.volumes.1.persistentVolumeClaim", "x", 'persistentVolumeClaim: "x" is not allowed .*must be a mapping'),
    (f"{BOX}.env.0", "x", r"env\[0\] is not allowed .*write name and value"),
    (f"{BOX}.env.0", {"value": "a"}, r"env\[0\] is not allowed .*write name and value"),
    (
        f"{BOX}.env.+",
        {"name": "REGISTRY_DATABASE_URI", "value": "x", "valueFrom": {"secretKeyRef": REGISTRY_URI}},
        "valueFrom is not allowed .*none from Secrets",
    ),
    (f"{BOX}.volumeMounts.1.subPath", "jobs/5", "volumeMounts lacks the run's directory"),
    # Text where Kubernetes wants text, and the few words that it knows.
    *((f"{POD}.{name}", 1, f"{name}: 1 is not allowed .*must be text") for name in POD_TEXTS),
    *((f"{BOX}.{name}", "", f'{name}: "" is not allowed .*must be text') for name in BOX_TEXTS),
    (f"{POD}.securityContext.seccompProfile.localhostProfile", 1, "localhostProfile: 1 "),
    (f"{POD}.securityContext.supplementalGroupsPolicy", "None", "supplementalGroupsPolicy: .*use Merge or Strict"),
    (f"{POD}.securityContext.seLinuxOptions", {"level": 1}, "seLinuxOptions.level: 1 "),
    (f"{POD}.volumes.0.name", "", r"volumes\[0\].name: "),
    (f"{POD}.volumes.0.emptyDir.sizeLimit", True, "emptyDir.sizeLimit: true is not allowed .*must be a quantity"),
    (f"{POD}.volumes.0.emptyDir.medium", "Disk", "emptyDir.medium: .*Kubernetes knows no other"),
    (f"{POD}.volumes.1.persistentVolumeClaim.readOnly", "no", 'readOnly: "no" is not allowed .*true or false'),
    (f"{BOX}.volumeMounts.0.name", "", r"volumeMounts\[0\].name: "),
    (f"{BOX}.volumeMounts.0.mountPath", 1, r"volumeMounts\[0\].mountPath: 1 "),
    (f"{BOX}.volumeMounts.0.subPath", "", r"volumeMounts\[0\].subPath: "),
    (f"{BOX}.volumeMounts.0.readOnly", "yes", r"volumeMounts\[0\].readOnly: .*true or false"),
    (f"{BOX}.volumeMounts.0.recursiveReadOnly", "Maybe", r"recursiveReadOnly: .*use Disabled or IfPossible"),
    (f"{BOX}.securityContext.runAsGroup", 0, "runAsGroup: 0 .*set it to 65532"),
    (f"{BOX}.securityContext.appArmorProfile", {"type": "Unconfined"}, "appArmorProfile.type: "),
    (f"{BOX}.env.0", {"name": 1, "value": "a"}, r"env\[0\] is not allowed .*write name and value"),
    (f"{BOX}.env.0", {"name": "A", "value": "a", "more": 1}, r"env\[0\] is not allowed .*write name and value"),
    (f"{BOX}.env.0", {"name": "A", "value": 1}, r"env\[0\].value is not allowed .*'A' is not text"),
]

# What a template may say.
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

# Caps on a job that has a limit for everything.
CAP_CASES: list[tuple[dict[str, Any], str, object, str]] = [
    ({"memory": "1Gi"}, f"{BOX}.resources.limits.memory", "1025Mi", 'limits.memory: "1025Mi" .*allows 1Gi'),
    ({"memory": "1Gi"}, f"{BOX}.resources.requests.memory", "2G", 'requests.memory: "2G" .*allows 1Gi'),
    ({"cpu": "1500m"}, f"{BOX}.resources.limits.cpu", 1.6, "limits.cpu: 1.6 .*allows 1500m"),
    ({"cpu": 2}, f"{BOX}.resources.limits", {"memory": "1Gi"}, "limits.cpu is missing"),
    (
        {"ephemeral-storage": "2Gi"},
        f"{POD}.volumes.+",
        {"name": "c", "emptyDir": {"sizeLimit": "3Gi"}},
        'sizeLimit: "3Gi" .*jobs.caps.ephemeralStorage in the chart\'s values allows 2Gi',
    ),
    ({"ephemeral-storage": "1Gi"}, f"{BOX}.resources.limits", {"memory": "1Gi"}, 'ephemeral-storage"] is missing'),
]

# What a companion's container must not have, where its image is listed.
COMPANION_CASES: list[tuple[dict[str, Any], str]] = [
    ({"image": "example.org/other:1"}, 'image: "example.org/other:1" is not allowed'),
    ({"volumeMounts": [{"name": "task", "mountPath": "/x"}]}, 'volumeMounts[0].name: "task" is not allowed'),
    ({"volumeMounts": [{"name": "database-0", "mountPath": "/x"}]}, "the algorithm's alone"),
    ({"env": []}, "env[KUBERNETES_SERVICE_HOST] must be blank"),
    (
        {"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "v6-node-database-registry", "key": "a"}}}]},
        "none from Secrets",
    ),
    ({"securityContext": {}}, "allowPrivilegeEscalation is missing"),
    ({"securityContext": {**COMPANION["securityContext"], "runAsUser": 0}}, "never as root"),
    ({"resources": {"requests": {"cpu": 1, "memory": 1}}}, "limits is missing"),
    ({"resources": {**COMPANION["resources"], "limits": {"memory": 1, "nvidia.com/gpu": 1}}}, "there, grants"),
    ({"name": ""}, 'name: "" is not allowed'),
    ({"imagePullPolicy": ""}, "imagePullPolicy: "),
    ({"livenessProbe": {}}, "livenessProbe is not allowed"),
    ({"restartPolicy": "Always"}, 'restartPolicy: "Always" is not allowed'),
]


def claiming() -> Context:
    """A run of a profile whose GPU comes by Dynamic Resource Allocation, beside a companion."""
    grant = GpuGrant(resource_claim_template_name="one-gpu")
    resources = {**profile().resources, "claims": [{"name": "gpu"}]}
    return context(profile=profile(resources=resources, gpu=grant, extra_images=(COMPANION["image"],)))


def capped(caps: dict[str, Any]) -> Context:
    """A run of a site with caps."""
    limits = {"cpu": 1, "memory": "1Gi", "ephemeral-storage": "1Gi"}
    resources = {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": limits}
    return context(profile=profile(resources=resources, caps=caps))
