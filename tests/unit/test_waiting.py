"""Why a run waits, and how long that is put up with: the objects and words as the API server shows them."""

import pytest

from launcher.runs import RunStatus
from launcher.waiting import Patience, Trouble, waiting

JOB = {"metadata": {"name": "run-1", "uid": "job"}}
START, IMAGE = RunStatus.START_FAILED, RunStatus.NO_DOCKER_IMAGE
NONE, SHORT, LONG, ENDLESS = Patience.NONE, Patience.SHORT, Patience.LONG, Patience.ENDLESS


def a_pod(conditions=(), state=None):
    statuses = [{"name": "sidecar", "state": {}}, {"name": "algorithm", "state": state}] if state else []
    return {"metadata": {"uid": "pod"}, "status": {"conditions": list(conditions), "containerStatuses": statuses}}


def unscheduled(message, reason="Unschedulable"):
    return a_pod([{"type": "PodScheduled", "status": "False", "reason": reason, "message": message}])


def held(reason, message="", ready="True"):
    conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "PodReadyToStartContainers", "status": ready}]
    return a_pod(conditions, {"waiting": {"reason": reason, "message": message}})


def creating(reason, message):
    """A container that is being made, and a warning of its pod."""
    return held("ContainerCreating", ready="False"), Trouble("pod", reason, message)


def of_job(message):
    return None, Trouble("job", "FailedCreate", message)


NO_PREEMPTION = " preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
NODES = "0/3 nodes are available: "
WHICH = f"its databases and the task volume of this node: {NODES}"
QUOTA = 'Error creating: pods "run-1-abcde" is forbidden: exceeded quota: small, requested: limits.memory=2Gi, '
PULL = 'failed to pull and unpack image "{0}": failed to resolve reference "{0}": {1}'
BACK_OFF = 'Back-off pulling image "{0}": ErrImagePull: ' + PULL


def pull(words, reason="ImagePullBackOff", image="registry.example.org/x:1"):
    return held(reason, (BACK_OFF if reason == "ImagePullBackOff" else PULL).format(image, words)), None


UNCLAIMED = Trouble(
    "pod",
    "FailedResourceClaimCreation",
    'PodResourceClaim gpu: resource claim template "a": resourceclaimtemplate.resource.k8s.io "a" not found',
)
TABLE = [
    # Shortages: they pass when others end.
    (
        (unscheduled(f"{NODES}3 Insufficient memory.{NO_PREEMPTION}"), None),
        LONG,
        START,
        "room for the algorithm now: 0/3",
    ),
    ((unscheduled(f"{NODES}3 Insufficient cpu."), None), LONG, START, "3 Insufficient cpu."),
    ((unscheduled(f"{NODES}3 Insufficient nvidia.com/gpu."), None), LONG, START, "nvidia.com/gpu"),
    ((unscheduled(f"{NODES}3 Too many pods."), None), LONG, START, "Too many pods"),
    ((unscheduled(f"{NODES}3 cannot allocate all claims."), None), LONG, START, "room for the algorithm now: 0/3"),
    ((unscheduled(f"{NODES}3 node(s) exceed max volume count."), None), LONG, START, "volume count"),
    ((unscheduled("0/0 nodes are available"), None), LONG, START, "0/0 nodes"),
    ((unscheduled("no nodes available to schedule pods"), None), LONG, START, "no nodes available"),
    # Kept apart from others, until those end.
    (
        (unscheduled(f"{NODES}3 node(s) didn't match pod anti-affinity rules.{NO_PREEMPTION}"), None),
        LONG,
        START,
        "room",
    ),
    ((unscheduled(f"{NODES}3 node(s) didn't satisfy existing pods anti-affinity rules."), None), LONG, START, "room"),
    ((unscheduled(f"{NODES}3 node(s) didn't match pod topology spread constraints."), None), LONG, START, "room"),
    # One machine would do if it had room: the others don't matter.
    (
        (unscheduled(f"{NODES}1 Insufficient cpu, 2 node(s) didn't match Pod's node affinity/selector."), None),
        LONG,
        START,
        "2 node(s) didn't match",
    ),
    # States of machines that end by themselves.
    ((unscheduled(f"{NODES}3 node(s) were unschedulable."), None), LONG, START, "were unschedulable"),
    (
        (unscheduled(f"{NODES}3 node(s) had untolerated taint {{node.kubernetes.io/disk-pressure: }}."), None),
        LONG,
        START,
        "disk-pressure",
    ),
    (
        (unscheduled(f"{NODES}3 node(s) had untolerated taint {{node.kubernetes.io/not-ready: }}."), None),
        LONG,
        START,
        "not-ready",
    ),
    (
        (unscheduled("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated"), None),
        LONG,
        START,
        "holds",
    ),
    # What somebody has to repair.
    (
        (unscheduled(f"{NODES}3 node(s) didn't match Pod's node affinity/selector.{NO_PREEMPTION}"), None),
        SHORT,
        START,
        "may run on: 0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. The site",
    ),
    (
        (unscheduled(f"{NODES}3 node(s) had untolerated taint {{example.org/gpu: }}."), None),
        SHORT,
        START,
        "example.org/gpu",
    ),
    (
        (unscheduled(f"{NODES}3 node(s) didn't match pod topology spread constraints (missing required label)."), None),
        SHORT,
        START,
        "may run on: 0/3",
    ),
    ((unscheduled(f"{NODES}3 node(s) didn't match pod affinity rules."), None), SHORT, START, "may run on: 0/3"),
    ((unscheduled('persistentvolumeclaim "scans" not found.'), None), SHORT, START, 'claim "scans" not found'),
    ((unscheduled(f"{NODES}pod has unbound immediate PersistentVolumeClaims."), None), SHORT, START, "not available"),
    *(
        ((unscheduled(f"{NODES}{words}"), None), SHORT, START, f"can mount all volumes that it needs, {WHICH}{words}")
        for words in (
            "3 node(s) had volume node affinity conflict.",
            "3 node(s) didn't match PersistentVolume's node affinity.",
            "1 node(s) didn't match PersistentVolume's node affinity, 2 node(s) didn't match pod affinity rules.",
        )
    ),
    # The others, where the task volume can't be mounted, would not do if this one had room.
    (
        (unscheduled(f"{NODES}1 Insufficient cpu, 2 node(s) didn't match pod affinity rules."), None),
        LONG,
        START,
        "has room for the algorithm now",
    ),
    # No machine is looked for before the claims of a pod have been made.
    ((a_pod(), UNCLAIMED), SHORT, START, "can't be claimed: PodResourceClaim gpu: resource claim template"),
    ((a_pod([{"type": "PodScheduled", "status": "True"}]), UNCLAIMED), None, None, ""),
    ((a_pod(), Trouble("another", UNCLAIMED.reason, "x")), None, None, ""),
    # The pod could not even be made.
    (
        of_job(f"{QUOTA}used: limits.memory=3Gi, limited: limits.memory=4Gi"),
        LONG,
        START,
        "quota of this node has no room",
    ),
    (of_job(f"{QUOTA}used: limits.memory=0, limited: limits.memory=1Gi"), SHORT, START, "exceeded quota: small"),
    (
        of_job('Error creating: pods "run-1-abcde" is forbidden: failed quota: small: must specify limits.cpu for: it'),
        SHORT,
        START,
        "does not admit the algorithm's pod: failed quota: small: must specify limits.cpu",
    ),
    (
        of_job('Error creating: pods "run-1-abcde" is forbidden: violates PodSecurity "restricted:latest": x'),
        SHORT,
        START,
        "PodSecurity",
    ),
    (
        of_job(
            'Error creating: pods "run-1-abcde" is forbidden: maximum memory usage per Container is 1Gi, '
            "but limit is 2Gi"
        ),
        SHORT,
        START,
        "does not admit the algorithm's pod: maximum memory usage per Container is 1Gi, but limit is 2Gi. The site has",
    ),
    (
        of_job('Error creating: admission webhook "site.example.org" denied the request: no'),
        SHORT,
        START,
        "does not admit the algorithm's pod: admission webhook",
    ),
    # Volumes and network.
    (
        creating(
            "FailedMount",
            'MountVolume.SetUp failed for volume "v6-default" : hostPath type check failed: /x is not a file',
        ),
        SHORT,
        START,
        'can\'t be mounted: MountVolume.SetUp failed for volume "v6-default" : hostPath type check failed',
    ),
    (creating("FailedAttachVolume", "AttachVolume.Attach failed for volume x"), SHORT, START, "can't be mounted"),
    (
        creating("FailedAttachVolume", 'Multi-Attach error for volume "x" Volume is already used by pod(s) y'),
        LONG,
        START,
        "in use on another machine",
    ),
    (creating("FailedCreatePodSandBox", "Failed to create pod sandbox: plugin"), SHORT, START, "set up its network"),
    (creating("Surprise", "x"), None, None, ""),
    # Images.
    (
        pull("registry.example.org/x:1: not found"),
        NONE,
        IMAGE,
        "The image registry.example.org/x:1 can't be used here: there is none",
    ),
    (pull("registry.example.org/x:1: not found", "ErrImagePull"), SHORT, IMAGE, "there is none of that name"),
    (pull("unexpected status from HEAD request: 401 Unauthorized"), NONE, IMAGE, "imagePullSecrets"),
    (
        pull("pull access denied, repository does not exist or may require authorization"),
        NONE,
        IMAGE,
        "imagePullSecrets",
    ),
    (
        pull('failed to do request: Head "https://x": dial tcp 127.0.0.1:443: connect: connection refused'),
        SHORT,
        IMAGE,
        "reached",
    ),
    (
        pull('failed to do request: Head "https://x": dial tcp: lookup x: no such host'),
        SHORT,
        IMAGE,
        "can't be reached",
    ),
    (pull("no match for platform in manifest: not found"), NONE, IMAGE, "not made for the processors"),
    (pull("toomanyrequests: you have reached your pull rate limit"), SHORT, IMAGE, "can't be reached"),
    (pull("write /var/lib: no space left on device"), SHORT, IMAGE, "disk is full"),
    (pull("not found", image="registry.example.org/denied:401"), NONE, IMAGE, "there is none of that name"),
    (pull("a word nobody knows"), SHORT, IMAGE, "a word nobody knows"),
    ((held("InvalidImageName", 'Failed to apply default image tag "X:::": invalid'), None), NONE, IMAGE, "X:::"),
    (
        (held("ErrImageNeverPull", 'Container image "x:1" is not present with pull policy of Never'), None),
        NONE,
        IMAGE,
        "Never",
    ),
    # Kubernetes 1.30: why is only in the Event.
    (
        (
            held("ImagePullBackOff", 'Back-off pulling image "x:1"'),
            Trouble("pod", "Failed", 'Failed to pull image "x:1": rpc error: code = NotFound desc = x:1: not found'),
        ),
        NONE,
        IMAGE,
        "The image x:1 can't be used here: there is none of that name",
    ),
    ((held("ImagePullBackOff", 'Back-off pulling image "x:1"'), None), SHORT, IMAGE, "Back-off"),
    # The container.
    (
        (held("CreateContainerConfigError", 'secret "registry" not found'), None),
        NONE,
        START,
        'made: secret "registry" not found.',
    ),
    (
        (held("CreateContainerConfigError", "couldn't find key uri in Secret n/registry"), None),
        NONE,
        START,
        "find key uri",
    ),
    (
        (held("CreateContainerConfigError", "failed to sync secret cache: timed out waiting for the condition"), None),
        SHORT,
        START,
        "sync",
    ),
    ((held("CreateContainerError", "failed to reserve container name"), None), SHORT, START, "reserve"),
    ((held("CreateContainerError", "no command specified"), None), NONE, START, "no command specified"),
    ((held("RunContainerError", "exec: not found"), None), SHORT, START, "exec"),
    ((held("ContainerCreating"), None), ENDLESS, START, "may still be on its way"),
    # Troubles that are over, or another's.
    ((held("ContainerCreating"), Trouble("pod", "FailedMount", "x")), ENDLESS, START, "on its way"),
    ((held("ContainerCreating", ready="False"), Trouble("another", "FailedMount", "x")), ENDLESS, START, "on its way"),
    ((None, Trouble("another", "FailedCreate", "x")), None, None, ""),
    ((None, None), None, None, ""),
    ((a_pod(), None), None, None, ""),
    ((a_pod(state={"running": {}}), None), None, None, ""),
    ((a_pod(state={"terminated": {"exitCode": 0}}), None), None, None, ""),
]


@pytest.mark.parametrize(("seen", "patience", "status", "words"), TABLE)
def test_the_table(seen, patience, status, words):
    pod, trouble = seen
    why = waiting(JOB, pod, trouble)
    if patience is None:
        assert why is None
        return
    assert (why.patience, why.status) == (patience, status)
    assert words in why.sentence + why.detail
    assert why.sentence.endswith(".")
    assert "preemption:" not in why.sentence


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CreateContainerConfigError", "CrashLoopBackOff"])
def test_a_container_of_the_site_s_own_that_does_not_start_is_named(reason):
    own = [
        {"name": "first", "state": {"terminated": {"exitCode": 0}}},
        {"name": "logs", "state": {"waiting": {"reason": reason, "message": "no\n such  thing"}}},
    ]
    pod = a_pod(state={"waiting": {"reason": "PodInitializing"}})
    found = waiting(JOB, {**pod, "status": {**pod["status"], "initContainerStatuses": own}}, None)
    assert found.sentence == (
        "The container logs, which this site runs beside algorithms, does not start: no such thing. "
        "The site has to correct it."
    )
    assert (found.patience, found.status) == (Patience.SHORT, RunStatus.START_FAILED)
    own[1]["state"]["waiting"]["reason"] = "PodInitializing"
    still = waiting(JOB, {**pod, "status": {**pod["status"], "initContainerStatuses": own}}, None)
    assert still.patience is Patience.ENDLESS, "it is waited for like the algorithm's own"


def test_a_container_that_runs_before_the_algorithm_and_does_not_end_is_named():
    own = [{"name": "logs", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]
    pod = a_pod(state={"waiting": {"reason": "PodInitializing"}})
    pod["status"]["initContainerStatuses"] = own
    found = waiting(JOB, {**pod, "spec": {"initContainers": [{"name": "logs"}]}}, None)
    assert found.sentence.startswith("The container logs, which this site runs before algorithms, has not ended yet; ")
    assert "restartPolicy: Always" in found.sentence
    assert found.patience is Patience.ENDLESS
    beside = {**pod, "spec": {"initContainers": [{"name": "logs", "restartPolicy": "Always"}]}}
    assert "may still be on its way" in waiting(JOB, beside, None).sentence
