"""How far a node has come, by what the API server shows: what is waited for, what keeps it, and when it is the end."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.admin.progress import Patience, Seen, Trouble, last_sentence, step
from tests.unit.node_objects import LAUNCHER, ONLINE, PROXY, STATEFULSET, ended, event, told, unscheduled, waiting

CRITICAL = {"level": "CRITICAL", "event": "The server at https://a.org/api refuses api_key (no)."}
SECRET = 'MountVolume.SetUp failed for volume "secrets" : secret "v6-node-key" not found'


def seen(pod: Any = LAUNCHER, events: Any = (), told: Any = None, proxy: Any = PROXY) -> Seen:
    return Seen(STATEFULSET, [each for each in (pod, proxy) if each], events, told)


def test_a_node_that_says_so_is_online():
    assert step(seen(told=ONLINE)).online


@pytest.mark.parametrize(
    ("what", "phase", "sentence"),
    [
        pytest.param(Seen(None), "the launcher's pod is made", None, id="nothing is there"),
        pytest.param(seen(None), "the launcher's pod is made", None, id="no pod yet"),
        pytest.param(
            seen(None, [event(STATEFULSET, "FailedCreate", "pods is forbidden: exceeded quota: small")]),
            "the launcher's pod is made",
            "The launcher's pod can't be made: pods is forbidden: exceeded quota: small.",
            id="a quota refuses the pod",
        ),
        pytest.param(
            seen(unscheduled(LAUNCHER, "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.")),
            "a machine is looked for",
            "No machine of the cluster takes the launcher: 0/1 nodes are available: pod has unbound immediate "
            "PersistentVolumeClaims.",
            id="no volume",
        ),
        pytest.param(
            seen(waiting(LAUNCHER, "ImagePullBackOff", 'Back-off pulling image "x": not found')),
            "images are pulled",
            'The image ghcr.io/vantage6/v6-node:0.1.0 can\'t be pulled: Back-off pulling image "x": not found.',
            id="no image",
        ),
        pytest.param(
            seen(waiting(LAUNCHER, "ContainerCreating")),
            "volumes are mounted and images are pulled",
            None,
            id="on its way",
        ),
        pytest.param(
            seen(waiting(LAUNCHER, "ContainerCreating"), [event(LAUNCHER, "FailedMount", SECRET)]),
            "volumes are mounted and images are pulled",
            f"The launcher's pod can't be set up: {SECRET}.",
            id="no Secret",
        ),
        pytest.param(
            seen(waiting(LAUNCHER, "ContainerCreating"), [event(PROXY, "FailedMount", SECRET)]),
            "volumes are mounted and images are pulled",
            None,
            id="another pod's trouble",
        ),
        pytest.param(
            seen(waiting(LAUNCHER, "CrashLoopBackOff", "back-off 10s", ended("noise", CRITICAL))),
            "the launcher ended",
            "The server at https://a.org/api refuses api_key (no).",
            id="its own last words",
        ),
        pytest.param(
            seen(waiting(LAUNCHER, "CrashLoopBackOff", "", {"exitCode": 137, "reason": "OOMKilled"})),
            "the launcher ended",
            "The launcher ended (OOMKilled); its log tells more.",
            id="no last words",
        ),
        pytest.param(
            seen(told={"readyz": "the API server\n"}),
            "the node waits for the API server",
            None,
            id="before everything",
        ),
        pytest.param(
            seen(told={"readyz": "ready\n", "connection": {"online": False, "reason": "The server is away"}}),
            "the node waits for the vantage6 server",
            "The server is away.",
            id="before the gate",
        ),
        pytest.param(
            seen(told=told(connection={"online": False, "reason": "x"}, isolation={"open": False, "passed": False})),
            "the isolation of algorithms is checked",
            None,
            id="the check is under way",
        ),
        pytest.param(
            seen(
                told=told(
                    connection={"online": False, "reason": "x"},
                    isolation={"open": False, "passed": False, "reason": "Algorithms reach what they must not: lookup"},
                )
            ),
            "the isolation of algorithms is checked",
            "Algorithms reach what they must not: lookup.",
            id="not isolated",
        ),
        pytest.param(
            seen(
                proxy=waiting(PROXY, "ImagePullBackOff", "not found"),
                told=told(connection={"online": False}, isolation={"open": False, "reason": "no proxy"}),
            ),
            "images are pulled",
            "The image ghcr.io/vantage6/v6-node:0.1.0 can't be pulled: not found.",
            id="the proxy is why",
        ),
        pytest.param(
            seen(told=told(connection={"online": False, "reason": "websockets do not pass"})),
            "the node connects to the server",
            "websockets do not pass.",
            id="no connection",
        ),
    ],
)
def test_how_far_it_has_come_and_what_keeps_it(what: Seen, phase: str, sentence: str | None):
    now = step(what)
    assert not now.online
    assert now.phase == phase
    assert (now.trouble and now.trouble.sentence) == sentence


def test_a_pod_of_the_values_before_does_not_count():
    newer = copy.deepcopy(STATEFULSET)
    newer["status"]["updateRevision"] = "v6-node-launcher-5555"
    unnoticed = copy.deepcopy(STATEFULSET)
    unnoticed["metadata"]["generation"] = 2
    leaving = copy.deepcopy(LAUNCHER)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-28T06:00:00Z"
    for statefulset, pod in ((newer, LAUNCHER), (unnoticed, LAUNCHER), (STATEFULSET, leaving)):
        assert not step(Seen(statefulset, [pod], (), ONLINE)).online


def test_where_the_launcher_may_not_be_asked_its_events_tell():
    def said(reason: str, at: str) -> Any:
        return event({"metadata": {"name": "v6-node-launcher-0"}}, reason, f"{reason} it is", at=at)

    before = said("Online", "2026-11-28T05:59:59Z")  # an earlier pod of that name
    assert not step(seen(events=[before])).online
    failed = said("IsolationFailed", "2026-11-28T06:00:01Z")
    now = step(seen(events=[before, failed]))
    assert now.trouble and now.trouble.sentence == "IsolationFailed it is."
    later = said("Online", "2026-11-28T06:00:09Z")
    assert step(seen(events=[before, later, failed])).online
    offline = said("Offline", "2026-11-28T06:00:10Z")
    assert not step(seen(events=[later, offline])).online


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        ("", ""),
        ("Traceback: x", ""),
        ('{"level": "INFO", "event": "online"}', ""),
        ('{"level": "CRITICAL", "event": "a."}\n{"level": "INFO", "event": "stopping"}\ncut off {', "a."),
        ('{"level": "ERROR", "event": "it does not hold", "reason": "lookup"}', "it does not hold lookup."),
        ('["level"]', ""),
    ],
)
def test_the_last_sentence_of_a_log(log: str, sentence: str):
    assert last_sentence(log) == sentence


def test_what_may_pass_is_waited_for_and_what_changes_begins_anew():
    patience, trouble = Patience(), Trouble("It is away: first words", 60)
    assert not patience.exhausted(trouble, 100)
    assert not patience.exhausted(Trouble("It is away: other words", 60), 150)
    assert patience.exhausted(trouble, 160)
    assert not patience.exhausted(None, 161)
    assert not patience.exhausted(trouble, 170)
    assert not patience.exhausted(Trouble("Something else", 60), 240)
    assert patience.exhausted(Trouble("The key is refused", 0), 241)


def pruned(tree: Any, choose: Any) -> Any:
    """A tree without some of what is optional in it: everything but metadata."""
    if isinstance(tree, dict):
        return {
            key: value if key in {"metadata", "spec", "name", "type"} else pruned(value, choose)
            for key, value in tree.items()
            if key in {"metadata", "spec", "name", "type", "status", "reason"} or choose()
        }
    return [pruned(each, choose) for each in tree] if isinstance(tree, list) else tree


@settings(deadline=None)
@given(st.data())
def test_whatever_kubernetes_and_launcher_leave_out_there_is_a_phase(data: st.DataObject):
    def choose() -> bool:
        return data.draw(st.booleans())

    pods = [
        LAUNCHER,
        waiting(LAUNCHER, "CrashLoopBackOff", "", ended({"level": "CRITICAL", "event": "x"})),
        waiting(LAUNCHER, "ErrImagePull", "y"),
        unscheduled(LAUNCHER, "z"),
    ]
    pod = pruned(data.draw(st.sampled_from(pods)), choose)
    events = [pruned(event(LAUNCHER, "FailedMount", "m"), choose)]
    telling = pruned({key: value for key, value in ONLINE.items() if choose()}, choose)
    now = step(Seen(pruned(STATEFULSET, choose), [pod, PROXY], events, data.draw(st.sampled_from([None, telling]))))
    assert now.phase
    assert now.trouble is None or now.trouble.sentence.endswith((".", "!", "?"))
