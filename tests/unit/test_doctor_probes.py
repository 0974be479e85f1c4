"""What the doctor makes in the cluster: Kubernetes takes it, it is secured, and it says whose it is."""

import kubernetes_validate
import pytest

from launcher.doctor.probes import CLOSED, HOLDER, MANAGED, OPEN, Maker
from launcher.doctor.traces import holder
from tests.unit.doctor_cluster import VALUES
from tests.unit.test_doctor_facts import asking


def test_every_object_carries_whose_it_is():
    maker = Maker("v6-node-doctor-abc", "v6-node-doctor-abc", holder(), asking(VALUES))
    made = [maker.own_namespace(), *maker.policies(), maker.secret("", ""), maker.claim()]
    jobs = [maker.listener(OPEN), maker.free({}, key=True, authority=True), maker.shut({}), maker.writer()]
    pods = [job["spec"]["template"] for job in jobs]
    for each in (*made, *jobs, *pods):
        assert MANAGED.items() <= each["metadata"]["labels"].items()
        assert each["metadata"]["annotations"][HOLDER] == holder()


def test_pods_keep_the_standard_restricted():
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted."""
    maker = Maker("v6-node-doctor-abc", "north", holder(), asking("network: {httpProxy: {url: 'http://p:3128'}}"))
    for job in (
        maker.listener(OPEN),
        maker.free({}, key=True, authority=True),
        maker.writer(),
        maker.puller(maker.wishes.images[0]),
    ):
        spec = job["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"hostNetwork", "hostPID", "hostIPC"}.isdisjoint(spec)
        kinds = {key for volume in spec.get("volumes", []) for key in volume if key != "name"}
        assert kinds <= {"secret", "persistentVolumeClaim"}
        assert spec["automountServiceAccountToken"] is False and spec["activeDeadlineSeconds"] > 0


def test_whoever_goes_by_owner_and_name_tells_the_pods_apart():
    """The Amazon VPC CNI takes pods for copies of each other whose names are the same up to the last dash."""
    maker = Maker("v6-node-doctor-abc", "north", holder(), asking(VALUES))
    jobs = [maker.listener(OPEN), maker.listener(CLOSED), maker.shut({}), maker.writer()]
    jobs += [maker.free({}, key=True, authority=False), *(maker.puller(image) for image in maker.wishes.images)]
    assert {job["kind"] for job in jobs} == {"Job"}
    assert len({job["metadata"]["name"] for job in jobs}) == len(jobs)


@pytest.mark.parametrize("version", ["1.30", "1.36"])
def test_manifests_are_such_as_kubernetes_takes(version: str):
    maker = Maker("v6-node-doctor-abc", "north", holder(), asking(VALUES))
    targets = {OPEN: ["10.0.0.1"], CLOSED: ["10.0.0.2"]}
    free = maker.free(targets, key=True, authority=True)
    made = [maker.own_namespace(), *maker.policies(), maker.secret("a", ""), maker.claim(), maker.writer(), free]
    for each in (*made, maker.listener(OPEN), maker.shut(targets), maker.puller(maker.wishes.images[0])):
        kubernetes_validate.validate(each, version, strict=True)
    assert len(free["metadata"]["name"]) <= 63
