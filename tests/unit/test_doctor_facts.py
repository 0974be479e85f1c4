"""What the cluster's objects say: versions, rights, volumes, quotas, GPUs, DNS."""

import base64
from typing import Any

import pytest
import yaml

from launcher.admin.helm import chart
from launcher.doctor import clusterfacts, rights, volumes
from launcher.doctor.findings import Finding, Level, exit_code, fail, ok, warn
from launcher.doctor.given import Place, authority_in, place_for_trial, read_wishes
from launcher.doctor.wishes import Wishes, key_in

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL


def asking(text: str = "") -> Wishes:
    return read_wishes(chart(), [yaml.safe_load(text)] if text else [])


def levels(findings: Any) -> list[Level]:
    found = findings if isinstance(findings, list) else [findings]
    assert all(each.remedy or each.level is OK for each in found)
    return [each.level for each in found]


def said(findings: Any) -> str:
    return " ".join(
        f"{each.sentence} {each.remedy}" for each in (findings if isinstance(findings, list) else [findings])
    )


def thing(name: str, **more: Any) -> dict[str, Any]:
    labels, annotations = more.pop("labels", {}), more.pop("annotations", {})
    return {"metadata": {"name": name, "labels": labels, "annotations": annotations}, **more}


def test_only_what_fails_makes_the_exit_code_bad():
    assert exit_code([ok("a", "b"), warn("a", "b", "c")]) == 0
    assert exit_code([ok("a", "b"), fail("a", "b", "c")]) == 1
    assert fail("a", "b", "c").tree() == {"check": "a", "level": "fail", "sentence": "b", "remedy": "c"}


@pytest.mark.parametrize(
    ("major", "minor", "level"),
    [
        ("1", "29", FAIL),
        ("1", "30", OK),
        ("1", "34+", OK),
        ("1", "36", OK),
        ("1", "37", WARN),
        ("2", "0", WARN),
        ("", "", WARN),
    ],
)
def test_the_release_of_kubernetes(major: str, minor: str, level: Level):
    told = {"major": major, "minor": minor, "gitVersion": f"v{major}.{minor}.1"}
    assert levels(clusterfacts.kubernetes_version(told)) == [level]


@pytest.mark.parametrize(
    ("labels", "level", "words"),
    [
        ({"pod-security.kubernetes.io/enforce": "restricted"}, OK, ""),
        ({"pod-security.kubernetes.io/enforce": "baseline"}, WARN, '"baseline" only'),
        ({}, WARN, "kubectl label namespace north"),
    ],
)
def test_the_namespaces_pod_security(labels: dict[str, str], level: Level, words: str):
    found = clusterfacts.pod_security(thing("north", labels=labels), "north")
    assert levels(found) == [level] and words in said(found)


def test_a_namespace_that_is_not_there_is_made_by_up():
    assert levels(clusterfacts.pod_security(None, "north")) == [OK]


# What is wanted


def test_images_are_those_that_the_values_install():
    wishes = asking(
        "image: {repository: r.example.org/node, digest: 'sha256:ab'}\n"
        "node: {whitelist: {domains: [a.org]}, ssh-tunnels: [{hostname: t}]}\n"
        "egress: {image: {tag: '2'}}\n"
    )
    refs = {image.what: image.ref for image in wishes.images}
    assert refs == {
        "image": "r.example.org/node@sha256:ab",
        "isolation.image": "ghcr.io/vantage6/v6-node-diagnostics:0.1.0",
        "egress.image": "ghcr.io/vantage6/v6-node-egress:2",
        "tunnels.image": "ghcr.io/vantage6/v6-node-tunnel:0.1.0",
    }
    assert [image.what for image in asking().images] == ["image", "isolation.image"]


@pytest.mark.parametrize(
    ("values", "url", "port"),
    [
        ("", "", 443),
        ("node: {server_url: 'https://a.org'}", "https://a.org:443/api", 443),
        ("node: {server_url: 'http://a.org', port: null, api_path: ''}", "http://a.org", 80),
        ("node: {server_url: 'http://a.org', port: 5000}", "http://a.org:5000/api", 5000),
    ],
)
def test_the_server_is_asked_where_the_launcher_will(values: str, url: str, port: int):
    assert (asking(values).server, asking(values).server_port) == (url, port)


def test_the_key_of_a_secret_is_one_only_if_it_could_be():
    def secret(text: str) -> dict[str, Any]:
        return {"data": {"api_key": base64.b64encode(text.encode()).decode()}}

    key = "11111111-2222-4333-8444-555555555555"
    assert key_in(secret(key + "\n")) == key
    assert [key_in(each) for each in (None, {}, {"data": None}, secret("no key"), {"data": {"api_key": "?"}})] == [
        ""
    ] * 5


def test_the_authority_of_a_secret_is_decoded():
    assert authority_in({"data": {"ca.crt": "UEVN"}}, "secrets", "ca.crt") == "PEM"
    assert authority_in({"data": {"ca.crt": "PEM"}}, "configmaps", "ca.crt") == "PEM"
    assert authority_in(None, "secrets", "ca.crt") == ""


# Rights


def judged(wishes: Wishes, *refused: str, there: bool = True) -> list[Finding]:
    """With everything allowed but what is named, as `verb resource`."""
    wanted = rights.wanted(wishes, namespace_there=there)
    named = {f"{right.verb} {right.resource}" for right in wanted}
    assert set(refused) <= named, set(refused) - named
    answers = {right: f"{right.verb} {right.resource}" not in refused for right in wanted}
    return rights.judge(answers, "north")


def test_who_may_everything_may_install():
    assert levels(judged(asking(), there=False)) == [OK]


@pytest.mark.parametrize(
    ("refused", "level", "words"),
    [
        (["create roles", "create rolebindings"], FAIL, "create roles.rbac.authorization.k8s.io; create rolebindings"),
        (["delete jobs", "escalate roles"], FAIL, "you may not: delete jobs.batch"),
        (["get pods/exec"], WARN, "show less, as you may not: get pods/exec"),
    ],
)
def test_what_is_lacking_is_listed_with_who_can_grant_it(refused: list[str], level: Level, words: str):
    found = judged(asking(), *refused)
    assert levels(found) == [level] and words in said(found)
    assert "kubectl create rolebinding" in said(found) and "-n north" in said(found)


def test_the_launchers_rights_need_not_be_ones_own_for_who_may_escalate():
    assert levels(judged(asking(), "delete jobs")) == [OK]


def test_a_namespace_that_is_missing_has_to_be_made_by_somebody():
    found = judged(asking(), "create namespaces", there=False)
    assert levels(found) == [FAIL] and "kubectl create namespace north" in said(found)


def test_what_is_cluster_wide_is_asked_for_only_where_values_want_it():
    paths = asking("node: {databases: [{label: a, type: csv, uri: /srv/a.csv}]}")
    found = judged(paths, "create persistentvolumes")
    assert levels(found) == [FAIL] and "claims" in said(found)
    held = asking("admissionPolicy: {enabled: true}")
    assert levels(judged(held, "create validatingadmissionpolicies")) == [FAIL]
    everywhere = [right for right in rights.wanted(asking(), namespace_there=True) if right.everywhere]
    assert everywhere == []


def test_a_review_asks_in_the_namespace_or_in_the_cluster():
    right = rights.Right("get", "", "pods/log", "look")
    assert rights.review(right, "north")["spec"]["resourceAttributes"] == {
        "verb": "get",
        "group": "",
        "resource": "pods",
        "subresource": "log",
        "namespace": "north",
    }
    wide = rights.Right("create", "", "namespaces", "namespace", everywhere=True)
    assert "namespace" not in rights.review(wide, "north")["spec"]["resourceAttributes"]


# Volumes

DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}
LOCAL = thing("local-path", provisioner="rancher.io/local-path", annotations=DEFAULT)
NFS = thing("nfs", provisioner="nfs.csi.k8s.io")
STRANGE = thing("strange", provisioner="example.org/strange")


@pytest.mark.parametrize(
    ("values", "classes", "machines", "expected", "words"),
    [
        ("", [LOCAL, NFS], 1, [OK], "local-path"),
        ("", [LOCAL], 3, [OK, WARN], "one of the 3 machines"),
        ("", [], 1, [FAIL], "no default StorageClass (it has: none)"),
        ("", [NFS], 1, [FAIL], "no default StorageClass (it has: nfs)"),
        ("taskVolume: {storageClassName: nfs}", [LOCAL, NFS], 1, [OK], "StorageClass nfs"),
        ("taskVolume: {storageClassName: gone}", [LOCAL], 1, [FAIL], "no StorageClass gone (there is: local-path)"),
        ("taskVolume: {storageClassName: ''}", [LOCAL], 1, [WARN], "made by hand"),
        ("taskVolume: {accessModes: [ReadWriteMany]}", [LOCAL], 3, [FAIL], "no volumes that several machines"),
        ("taskVolume: {accessModes: [ReadWriteMany], storageClassName: nfs}", [NFS], 3, [OK], "ReadWriteMany"),
        ("taskVolume: {accessModes: [ReadWriteMany], storageClassName: strange}", [STRANGE], 3, [WARN], "not known"),
        ("taskVolume: {existingClaim: gone}", [], 1, [FAIL], "no claim gone"),
        ("taskVolume: {existingClaim: mine, accessModes: [ReadWriteMany]}", [], 2, [OK], "claim mine (ReadWriteMany)"),
        ("taskVolume: {existingClaim: mine}", [], 2, [FAIL], "claim mine (ReadWriteMany), but the values say"),
        ("taskVolume: {existingClaim: single}", [], 2, [OK, WARN], "claim single (ReadWriteOnce)"),
        ("taskVolume: {existingClaim: alone}", [], 1, [FAIL], "can't be claim alone (ReadWriteOncePod)"),
        ("node: {databases: [{label: a, type: csv, uri: a.csv, claim: data}]}", [LOCAL], 1, [FAIL, OK], "claim data"),
    ],
)
def test_where_the_task_volume_comes_from(values: str, classes: Any, machines: int, expected: list[Level], words: str):
    modes = {"mine": "ReadWriteMany", "single": "ReadWriteOnce", "alone": "ReadWriteOncePod"}
    claims = [thing(name, spec={"accessModes": [mode]}) for name, mode in modes.items()]
    found = volumes.storage(asking(values), classes, claims, machines)
    assert levels(found) == expected and words in said(found)


# Runtimes, priorities, GPUs, DNS


def test_runtimes_and_priorities_that_values_name_have_to_be_there():
    assert levels(clusterfacts.runtime_classes(asking(), [thing("gvisor")])) == [OK]
    missing = clusterfacts.runtime_classes(asking("jobs: {profiles: {x: {runtimeClassName: kata}}}"), [thing("gvisor")])
    assert levels(missing) == [FAIL] and "kata" in said(missing) and "gvisor" in said(missing)
    wishes = asking("jobs: {priorityClassName: low}\nproxy: {priorityClassName: low}")
    assert levels(clusterfacts.priority_classes(wishes, [])) == [FAIL]
    assert clusterfacts.priority_classes(wishes, [thing("low")]) == []


def test_a_runtime_that_leaves_claimed_devices_out_is_named():
    machines = [
        thing(name, status={"nodeInfo": {"containerRuntimeVersion": runtime}})
        for name, runtime in (("a", "containerd://1.6.20"), ("b", "containerd://2.1.5"), ("c", "cri-o://1.34.0"))
    ]
    wishes = asking("jobs: {profiles: {large: {gpu: {resourceClaimTemplateName: big}}, small: {gpu: {count: 1}}}}")
    found = clusterfacts.claims(wishes, [*machines, thing("d")])
    assert levels(found) == [WARN]
    assert "profiles large claim devices" in said(found) and "on a (containerd://1.6.20)." in said(found)
    assert clusterfacts.claims(wishes, machines[1:]) == clusterfacts.claims(asking(), machines) == []


def test_gpus_are_listed_with_their_machines():
    machines = [
        thing("a", status={"allocatable": {"cpu": "8", "nvidia.com/gpu": "2", "amd.com/gpu": "0"}}),
        thing("b", status={"allocatable": {"nvidia.com/gpu": "1", "nvidia.com/mig-1g.5gb": "7"}}),
        thing("c"),
    ]
    assert "nvidia.com/gpu: 2 on a, 1 on b; nvidia.com/mig-1g.5gb: 7 on b." in said(clusterfacts.gpus(machines))
    assert "No machine offers a GPU" in said(clusterfacts.gpus([thing("c")]))


def test_the_dns_is_where_launcher_and_proxy_may_ask():
    kube_dns = thing("coredns-1", labels={"k8s-app": "kube-dns"})
    assert levels(clusterfacts.dns_pods(asking(), [kube_dns], [thing("kube-system")])) == [OK]
    other = thing("dns-1", labels={"dns.operator.openshift.io/daemonset-dns": "default"})
    found = clusterfacts.dns_pods(asking(), [other], [thing("kube-system")])
    assert levels(found) == [WARN] and "network.dns" in said(found)
    assert levels(clusterfacts.dns_pods(asking("network: {dns: {cidrs: [169.254.20.10/32]}}"), [], [])) == [OK]
    relabelled = asking("network: {dns: {podSelector: {k8s-app: null, app: dns}}}")
    assert levels(clusterfacts.dns_pods(relabelled, [thing("x", labels={"app": "dns"})], [])) == [OK]


def test_a_node_that_is_there_is_said():
    assert clusterfacts.installed(None, "north") is None
    assert "has a node already" in said(clusterfacts.installed(thing("v6-node-launcher"), "north"))


# Where to try


@pytest.mark.parametrize(
    ("may_make", "namespace", "strangers", "place"),
    [
        (True, thing("north"), [thing("deny")], Place(own=True)),
        (True, None, [], Place(own=True)),
        (False, thing("north"), [], Place()),
        (False, None, [], Place(why_not="there is no namespace north, and you may make none")),
        (
            False,
            thing("north"),
            [thing("deny")],
            Place(why_not="namespace north has NetworkPolicies already, and you may make no other namespace"),
        ),
    ],
)
def test_where_pods_are_made_for_the_trial(may_make: bool, namespace: Any, strangers: Any, place: Place):
    assert place_for_trial(may_make=may_make, namespace=namespace, strangers=strangers, name="north") == place
