"""What the rendered objects may and may not do."""

import base64
from pathlib import Path
from typing import Any

import yaml

from tests.chart.rendering import CHART, case, named, pods, render

KEY = "11111111-2222-4333-8444-555555555555"

# Everything a pod of the chart may say; the rest (hostNetwork, hostPID, sysctls, initContainers …) is not listed,
# and so refused.
POD = {
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "enableServiceLinks",
    "imagePullSecrets",
    "nodeSelector",
    "priorityClassName",
    "restartPolicy",
    "securityContext",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "tolerations",
    "volumes",
}
CONTAINER = {
    "args",
    "env",
    "image",
    "imagePullPolicy",
    "terminationMessagePolicy",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resources",
    "securityContext",
    "startupProbe",
    "volumeMounts",
}
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


def _everything() -> list[dict[str, Any]]:
    return render(case(CHART / "ci" / "everything-values.yaml"))


def test_pods_keep_the_restricted_standard(case_file: Path):
    for pod in pods(render(case(case_file))).values():
        spec = pod["spec"]
        assert set(spec) <= POD
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"].get("runAsUser", 1) > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for volume in spec["volumes"]:
            assert set(volume) - {"name"} <= VOLUMES
        for container in spec["containers"]:
            assert set(container) <= CONTAINER
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert all("hostPort" not in port for port in container.get("ports", []))


def test_pods_have_requests_and_a_memory_limit(case_file: Path):
    for pod in pods(render(case(case_file))).values():
        for container in pod["spec"]["containers"]:
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]


def test_only_the_launcher_has_a_token(case_file: Path):
    objects = render(case(case_file))
    for account in (one for one in objects if one["kind"] == "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    found = pods(objects)
    assert all(pod["spec"]["automountServiceAccountToken"] is False for pod in found.values())
    assert [role for role, pod in found.items() if "serviceAccountToken" in str(pod)] == ["launcher"]
    [token] = [
        source["serviceAccountToken"]
        for volume in found["launcher"]["spec"]["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        if "serviceAccountToken" in source
    ]
    assert token == {"path": "token", "expirationSeconds": 3600}


def test_only_the_launcher_has_the_key(case_file: Path):
    found = pods(render(case(case_file)))
    others = {role: pod for role, pod in found.items() if role != "launcher"}
    assert "v6-node-secrets" not in str(others)
    private = ["private-key"] if case(case_file)["node"].get("encryption", {}).get("enabled") else []
    secrets = [] if case(case_file).get("server", {}).get("protocol") == "poc" else ["secrets"]
    assert _secret_volumes(found["launcher"]) == [*secrets, *private]
    assert _secret_volumes(found["proxy"]) == private
    holders = {role for role, pod in others.items() if role != "proxy" and _secret_volumes(pod)}
    assert holders <= {"tunnel"}, "an SSH key of its own"


def _secret_volumes(pod: dict[str, Any]) -> list[str]:
    return [volume["name"] for volume in pod["spec"]["volumes"] if "secret" in volume]


def test_the_inline_private_key_is_in_its_secret_alone():
    objects = render(case(CHART / "ci" / "inline-key-values.yaml"))
    encoded = base64.b64encode(b"bm90IGEga2V5")[:-4].decode()
    texts = {one["kind"] + one["metadata"]["name"]: yaml.safe_dump(one) for one in objects}
    assert [name for name, text in texts.items() if "bm90IGEga2V5" in text or "PRIVATE KEY" in text] == []
    holder = named(objects, "Secret", "v6-node-private-key")
    assert b"\nbm90IGEga2V5\n" in base64.b64decode(holder["data"]["private_key.pem"])
    assert encoded not in "".join(text for name, text in texts.items() if "private-key" not in name)


def test_the_inline_key_is_in_the_secret_alone():
    objects = _everything()
    encoded = base64.b64encode(KEY.encode()).decode()
    holders = [one for one in objects if KEY in yaml.safe_dump(one) or encoded in yaml.safe_dump(one)]
    assert holders == [named(objects, "Secret", "v6-node-secrets")]
    assert holders[0]["data"] == {"api_key": encoded}


def test_an_existing_secret_is_not_touched(case_file: Path):
    values = case(case_file)
    if not values["node"].get("api_key"):
        assert "v6-node-secrets" not in [one["metadata"]["name"] for one in render(values) if one["kind"] == "Secret"]


def test_the_launcher_may_do_exactly_this():
    rules = named(_everything(), "Role", "v6-node-launcher")["rules"]
    allowed = {
        (group, resource, verb, *rule.get("resourceNames", []))
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert allowed == {
        ("batch", "jobs", "get"),
        ("batch", "jobs", "list"),
        ("batch", "jobs", "watch"),
        ("batch", "jobs", "create"),
        ("batch", "jobs", "delete"),
        ("", "pods", "list"),
        ("", "pods", "watch"),
        ("", "pods/log", "get"),
        ("", "serviceaccounts", "get", "v6-node-algorithm"),
        ("", "events", "create"),
        ("", "events", "list"),
        ("", "events", "watch"),
        ("networking.k8s.io", "networkpolicies", "list"),
        ("networking.k8s.io", "networkpolicies", "watch"),
        ("networking.k8s.io", "networkpolicies", "patch", "v6-node-database-registry-names"),
    }


def test_rights_are_given_to_the_launcher_alone(case_file: Path):
    objects = render(case(case_file))
    bindings = [one for one in objects if one["kind"].endswith("RoleBinding")]
    assert [(one["kind"], one["roleRef"]["kind"], one["roleRef"]["name"]) for one in bindings] == [
        ("RoleBinding", "Role", "v6-node-launcher")
    ]
    [subject] = bindings[0]["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": "v6-node-launcher", "namespace": "hospital"}


def test_a_quota_counts_algorithms_and_no_pod_of_the_chart(case_file: Path):
    objects = render(case(case_file))
    quotas = [one["spec"]["scopes"] for one in objects if one["kind"] == "ResourceQuota"]
    assert quotas == ([["Terminating"]] if case(case_file).get("jobs", {}).get("quota") else [])
    # What the scope means: https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-scopes.
    assert [role for role, pod in pods(objects).items() if "activeDeadlineSeconds" in pod["spec"]] == []


def test_databases_are_read_only(case_file: Path):
    objects = render(case(case_file))
    for volume in (one for one in objects if one["kind"] == "PersistentVolume"):
        claim = named(objects, "PersistentVolumeClaim", volume["spec"]["claimRef"]["name"])
        assert volume["spec"]["accessModes"] == claim["spec"]["accessModes"] == ["ReadOnlyMany"]
        assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
        assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
