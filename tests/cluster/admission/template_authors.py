"""Job templates as administrators might write them, fair and foul; for Hypothesis."""

from typing import Any

import yaml
from hypothesis import strategies as st

from tests.unit.changed_job import COMPANION
from tests.unit.test_templates_hostile import hostile

# What the values of the node under test give.
LABELS = {"example.org/team": "research"}
ANNOTATIONS = {"example.org/note": 'it\'s "quoted" \\ <b>'}

words = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
numbers = st.integers(1, 8)


def _yaml(indent: int, tree: Any) -> str:
    return "".join(" " * indent + line for line in yaml.safe_dump(tree).splitlines(keepends=True))


def _block(name: str, indent: int, tree: Any) -> str:
    return f"{{% block {name} %}}\n{{{{ super() }}}}\n{_yaml(indent, tree)}{{% endblock %}}\n"


BOUNDS = {
    "requests": {"cpu": "1", "memory": "1Gi"},
    "limits": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"},
}


def _resources(cpu: str) -> str:
    return _text("resources", _yaml(10, {"resources": {**BOUNDS, "requests": {"cpu": cpu, "memory": "1Gi"}}}))


def _text(block: str, text: str) -> str:
    return f"{{% block {block} %}}\n{text}\n{{% endblock %}}\n"


# What a template's author may do, by block: each keeps every rule.
FAIR = st.one_of(
    st.just(_block("labels", 4, LABELS)),
    words.map(lambda word: _block("scheduling", 6, {"topologySpreadConstraints": [], "affinity": {}})),
    words.map(lambda word: _block("env", 12, [{"name": word.upper().replace("-", "_"), "value": word}])),
    words.map(lambda word: _block("command", 10, {"args": [word], "workingDir": f"/{word}"})),
    words.map(lambda word: _block("mounts", 12, [{"name": "tmp", "mountPath": f"/scratch/{word}"}])),
    numbers.map(lambda size: _block("volumes", 8, [{"name": "more", "emptyDir": {"sizeLimit": f"{size}Gi"}}])),
    numbers.map(lambda number: _resources(f"{number}00m")),
    words.map(
        lambda word: _block("scheduling", 6, {"initContainers": [{**COMPANION, "name": word, "resources": BOUNDS}]})
    ),
)

POD_FIELDS: list[dict[str, Any]] = [
    {"hostNetwork": True}, {"hostPID": True}, {"hostIPC": True}, {"hostUsers": True}, {"shareProcessNamespace": True},
    {"nodeName": "node1"}, {"automountServiceAccountToken": True}, {"serviceAccountName": "default"},
    {"serviceAccount": "v6-node-launcher"}, {"dnsPolicy": "ClusterFirst"}, {"dnsConfig": {"nameservers": ["1.1.1.1"]}},
    {"hostAliases": []}, {"restartPolicy": "OnFailure"}, {"activeDeadlineSeconds": 10**9}, {"enableServiceLinks": True},
    {"securityContext": {"runAsUser": 0}}, {"securityContext": {}}, {"hostname": "proxyserver"}, {"containers": []},
    {"imagePullSecrets": [{"name": "v6-node-secrets"}]}, {"volumes": []},
    {"initContainers": [{"name": "a", "image": "example.org/other"}]},
    {"initContainers": [{**COMPANION, "securityContext": {"privileged": True}}]},
    {"initContainers": [{**COMPANION, "volumeMounts": [{"name": "task", "mountPath": "/a"}]}]},
    {"ephemeralContainers": [{"name": "a", "image": "b"}]},
]  # fmt: skip
CONTAINER_FIELDS: list[dict[str, Any]] = [
    {"securityContext": {"privileged": True}}, {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}},
    {"image": "example.org/other"}, {"imagePullPolicy": "Always"},
    {"envFrom": [{"secretRef": {"name": "v6-node-secrets"}}]},
    {"ports": [{"containerPort": 80, "hostPort": 80}]}, {"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}},
    {"livenessProbe": {"exec": {"command": ["a"]}}}, {"volumeDevices": [{"name": "task", "devicePath": "/dev/a"}]},
    {"name": "other"}, {"stdin": True}, {"restartPolicy": "Always"},
    {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "v6-node-secrets", "key": "api_key"}}}]},
]  # fmt: skip
VOLUMES: list[dict[str, Any]] = [
    {"name": "x", "hostPath": {"path": "/"}}, {"name": "x", "secret": {"secretName": "v6-node-secrets"}},
    {"name": "x", "configMap": {"name": "v6-node-config"}}, {"name": "x", "emptyDir": {}}, {"name": "x"},
    {"name": "x", "persistentVolumeClaim": {"claimName": "other"}}, {"name": "x", "csi": {"driver": "a"}},
    {"name": "x", "projected": {"sources": [{"serviceAccountToken": {"path": "a"}}]}},
    {"name": "x", "downwardAPI": {"items": []}}, {"name": "x", "nfs": {"server": "a", "path": "/"}},
]  # fmt: skip
FOUL_LABELS = [
    {"example.org/other": "a"}, {"azure.workload.identity/use": "true"},
    {"v6-node.vantage6.ai/role": "proxy"}, {"v6-node.vantage6.ai/database.default": "granted"},
    {"v6-node.vantage6.ai/whitelist": "granted"}, {"app.kubernetes.io/component": "proxy"},
]  # fmt: skip
FOUL_ANNOTATIONS = [
    {"example.org/other": "a"},
    {"k8s.v1.cni.cncf.io/networks": "a"},
    {"sidecar.istio.io/inject": "true"},
]

trees = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "value", "image", "securityContext", "privileged", "hostPath", "path", "labels"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
field_names = st.sampled_from([*{key for one in [*POD_FIELDS, *CONTAINER_FIELDS] for key in one}, "tolerations"])

# What a template's author must not do, or what is no manifest at all.
FOUL = st.one_of(
    st.sampled_from(POD_FIELDS).map(lambda tree: _block("scheduling", 6, tree)),
    st.sampled_from(CONTAINER_FIELDS).map(lambda tree: _block("command", 10, tree)),
    st.sampled_from(VOLUMES).map(lambda tree: _block("volumes", 8, [tree])),
    st.sampled_from(FOUL_LABELS).map(lambda tree: _block("pod_labels", 8, tree)),
    st.sampled_from(FOUL_ANNOTATIONS).map(lambda tree: _block("pod_annotations", 8, tree)),
    st.builds(lambda key, tree: _block("scheduling", 6, {key: tree}), field_names, trees),
    st.builds(lambda key, tree: _block("command", 10, {key: tree}), field_names, trees),
    hostile.filter(lambda text: len(text) < 100).map(lambda text: _text("scheduling", f"      {text}")),
)  # fmt: skip
OTHER_MANIFESTS = st.builds(
    lambda key, tree: yaml.safe_dump({"apiVersion": "batch/v1", "kind": "Job", key: tree}),
    st.sampled_from(["metadata", "spec", "status"]),
    trees,
)

EXTENDS = '{% extends "shipped/job.yaml.j2" %}\n'
fair_templates = FAIR.map(lambda block: EXTENDS + block)
"""Templates that keep every rule."""
foul_templates = FOUL.map(lambda block: EXTENDS + block) | OTHER_MANIFESTS
"""Templates that break a rule, or make nothing of use; a few are fair by accident."""
