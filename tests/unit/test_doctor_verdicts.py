"""What the doctor's pods found, and what it says of the cluster."""

import json
from typing import Any

import pytest

from launcher.doctor import verdicts
from launcher.doctor.findings import Level
from launcher.doctor.policyverdict import policies
from launcher.doctor.probes import CLOSED, FREE, OPEN, SHUT, VOLUME
from launcher.doctor.tried import Tried, admission, images
from tests.unit.test_doctor_facts import FAIL, OK, WARN, asking, levels, said

SERVER = "node: {server_url: 'https://vantage6.example.org'}"
THROUGH = {"first": "connected", "last": "connected", "seconds": 10.0}
STOPPED = {"first": "timed out", "last": "timed out", "seconds": 3.0}
LATE = {"first": "connected", "last": "timed out", "seconds": 4.2}


def pod(state: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "doctor", "image": "ghcr.io/vantage6/v6-node:0.1.0"}]}
    status = {"phase": "Running", "containerStatuses": [{"name": "doctor", "state": state}]}
    return {"metadata": {"name": "x", "uid": "u"}, "spec": spec, "status": status}


def ended(answer: Any, code: int = 0) -> dict[str, Any]:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return pod({"terminated": {"exitCode": code, "message": text}})


RUNNING = pod({"running": {}})
NO_IMAGE = pod({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}})


def connected(free_open: Any = THROUGH, free_closed: Any = STOPPED, shut_open: Any = STOPPED, **more: Any) -> Tried:
    free = {"connect": {"open 10.0.0.1": free_open, "closed 10.0.0.2": free_closed}, **more}
    pods = {OPEN: RUNNING, CLOSED: RUNNING, FREE: ended(free), SHUT: ended({"connect": {"open 10.0.0.1": shut_open}})}
    return Tried(pods)


@pytest.mark.parametrize(
    ("tried", "level", "words"),
    [
        pytest.param(connected(), OK, "both directions", id="enforced"),
        pytest.param(connected(shut_open=THROUGH, free_closed=THROUGH), FAIL, "Cilium or Calico", id="not enforced"),
        pytest.param(connected(shut_open=THROUGH), FAIL, "gets through, out of a pod (10.0.0.1)", id="only into"),
        pytest.param(connected(free_closed=THROUGH), FAIL, "gets through, into a pod (10.0.0.2)", id="only out of"),
        pytest.param(connected(shut_open=LATE), WARN, "only 4 seconds after", id="late"),
        pytest.param(connected(free_open=STOPPED), FAIL, "Pods don't reach each other (10.0.0.1", id="no control"),
        pytest.param(
            connected(free_open=STOPPED, shut_open=THROUGH), FAIL, "Pods don't reach each other", id="control first"
        ),
        pytest.param(Tried({OPEN: NO_IMAGE}), WARN, "could not be tried: The image ghcr.io", id="no image"),
        pytest.param(Tried(refused={OPEN: "pods is forbidden"}), WARN, "pods is forbidden", id="no right"),
        pytest.param(Tried({OPEN: RUNNING, CLOSED: RUNNING}), WARN, "It was not made", id="second round is missing"),
        pytest.param(
            Tried({OPEN: RUNNING, CLOSED: RUNNING, FREE: ended("no python", 127), SHUT: RUNNING}),
            WARN,
            "exit code 127: no python",
            id="no answer",
        ),
    ],
)  # fmt: skip
def test_whether_policies_are_enforced(tried: Tried, level: Level, words: str):
    found = policies(tried)
    assert levels(found) == [level] and words in said(found)


def test_both_families_count():
    free = {"connect": {"open 10.0.0.1": THROUGH, "open fd00::1": THROUGH, "closed 10.0.0.2": STOPPED}}
    shut = {"connect": {"open 10.0.0.1": STOPPED, "open fd00::1": THROUGH}}
    tried = Tried({OPEN: RUNNING, CLOSED: RUNNING, FREE: ended(free), SHUT: ended(shut)})
    assert levels(policies(tried)) == [FAIL] and "(fd00::1)" in said(policies(tried))


# Images and admission


def test_images_that_came_and_images_that_did_not():
    wishes = asking("node: {whitelist: {domains: [a.org]}}")
    tried = Tried({FREE: NO_IMAGE, OPEN: RUNNING, "image-egress": pod({"waiting": {"reason": "RunContainerError"}})})
    found = images(wishes, tried)
    assert levels(found) == [FAIL, OK, OK]
    assert "imagePullSecrets" in found[0].remedy and found[0].sentence.startswith("image: ")


def test_an_image_that_could_not_be_tried_is_not_called_missing():
    found = images(asking(), Tried(refused={FREE: "quota", OPEN: "quota"}))
    assert levels(found) == [WARN, WARN]


@pytest.mark.parametrize(
    ("answer", "level", "words"),
    [
        (None, OK, "admits"),
        ('pods "x" is forbidden: exceeded quota: small', FAIL, "exceeded quota: small."),
        ('pods is forbidden: User "me" cannot create resource "pods"', WARN, "see rights"),
    ],
)
def test_whether_the_namespace_admits_pods(answer: str | None, level: Level, words: str):
    found = admission(answer, "north")
    assert levels(found) == [level] and words in said(found)


# Names


@pytest.mark.parametrize(
    ("look_up", "expected", "words"),
    [
        (None, [WARN], "could not be tried"),
        ({"kubernetes.default.svc": {"addresses": ["10.96.0.1"]}}, [OK], ""),
        ({"kubernetes.default.svc": {"error": "Try again"}}, [FAIL], "kubernetes.default.svc: Try again."),
        (
            {"kubernetes.default.svc": {"addresses": []}, "vantage6.example.org": {"error": "not known"}},
            [OK, FAIL],
            "the vantage6 server, vantage6.example.org: not known.",
        ),
    ],
)
def test_names(look_up: Any, expected: list[Level], words: str):
    found = verdicts.names(Tried({FREE: ended({"look_up": look_up})}), asking(SERVER))
    assert levels(found) == expected and words in said(found)


@pytest.mark.parametrize(
    ("cidrs", "expected"),
    [
        ("[]", [OK]),
        ("[203.0.113.0/24, '2001:db8::/32']", [OK]),
        ("[203.0.113.0/24]", [OK, WARN]),
        ("[no network]", [OK]),
    ],
)
def test_the_server_has_to_be_where_launcher_and_proxy_may_connect_to(cidrs: str, expected: list[Level]):
    wishes = asking(f"{SERVER}\nnetwork: {{server: {{cidrs: {cidrs}}}}}")
    names = {
        "kubernetes.default.svc": {"addresses": ["10.96.0.1"]},
        "vantage6.example.org": {"addresses": ["203.0.113.7", "2001:db8::7"]},
    }
    assert levels(verdicts.names(Tried({FREE: ended({"look_up": names})}), wishes)) == expected


# The server

GOOD = {"status": 200, "version": "4.15.2", "ahead": 0.1}


@pytest.mark.parametrize(
    ("answer", "expected", "words"),
    [
        (GOOD, [OK, WARN], "No API key was given"),
        (GOOD | {"login": {"status": 200}}, [OK, OK], "takes the API key"),
        (GOOD | {"login": {"status": 401, "message": "Api key is not recognized!"}}, [OK, FAIL], "not recognized!"),
        (GOOD | {"version": "5.0.0"}, [FAIL], "vantage6 5.0.0"),
        ({"status": 404, "version": None}, [FAIL], "node.api_path"),
        ({"status": 200, "version": None}, [FAIL], "answers 200"),
        ({"error": "timed out", "kind": "TimeoutError"}, [FAIL], "vantage6.example.org port 443 opened"),
        (
            {"error": "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed", "kind": "SSLCertVerificationError"},
            [FAIL],
            "network.server.ca",
        ),
    ],
)
def test_the_server(answer: Any, expected: list[Level], words: str):
    found = verdicts.server(answer, asking(SERVER))
    assert levels(found) == expected and words in said(found)


def test_a_server_behind_an_http_proxy_has_that_one_to_look_at():
    wishes = asking(f"{SERVER}\nnetwork: {{httpProxy: {{url: 'http://proxy.example.org:3128'}}}}")
    assert "network.httpProxy" in said(verdicts.server({"error": "x"}, wishes))


def test_a_server_that_only_this_machine_reached_is_no_good_news():
    found = verdicts.server(GOOD | {"login": {"status": 200}}, asking(SERVER), here="No image.")
    assert levels(found) == [WARN, OK] and "answers this machine" in said(found) and "No image." in said(found)


# Clocks and volume


@pytest.mark.parametrize(
    ("clock", "server", "here", "expected", "words"),
    [
        (0.2, 1.0, -2.0, [OK], "with the API server's, the vantage6 server's"),
        (45.0, 0.0, 0.0, [WARN], "45 seconds ahead of the API server's"),
        (0.0, -400.0, 0.0, [FAIL], "400 seconds behind the vantage6 server's"),
        (0.0, 0.0, 900.0, [WARN], "This machine's clock is 900 seconds ahead"),
        (None, None, None, [WARN], "No clock"),
        (None, None, 1.0, [OK], "with the API server's"),
    ],
)
def test_clocks(clock: Any, server: Any, here: Any, expected: list[Level], words: str):
    answer = {"clock": {"ahead": clock}, "server": {"ahead": server}}
    found = verdicts.clocks(Tried({FREE: ended(answer)}), here)
    assert levels(found) == expected and words in said(found)


UNBOUND = {
    "metadata": {"name": "v", "uid": "v"},
    "spec": {"containers": []},
    "status": {
        "conditions": [
            {"type": "PodScheduled", "status": "False", "message": "pod has unbound immediate PersistentVolumeClaims"}
        ]
    },
}


@pytest.mark.parametrize(
    ("pods", "expected", "words"),
    [
        ({}, [], ""),
        ({VOLUME: ended({"write": "written"})}, [OK], "written to"),
        ({VOLUME: ended({"write": "Permission denied"})}, [FAIL], "Permission denied."),
        ({VOLUME: UNBOUND}, [FAIL], "unbound immediate"),
        ({VOLUME: NO_IMAGE}, [WARN], "see images"),
    ],
)
def test_the_volume(pods: Any, expected: list[Level], words: str):
    found = verdicts.volume(Tried(pods))
    assert levels(found) == expected and words in said(found)
