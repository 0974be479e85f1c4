"""What the witnesses wrote, put in order; calls about one run made to be about another; where a run's time goes."""

import itertools
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.calls import ASK, TELL, Call, Ids, readdressed
from benchmarks.cluster_witness import line
from benchmarks.journal import Journal
from benchmarks.life import overlap
from benchmarks.sightings import SeenAtServer, SeenInCluster, SeenJob
from benchmarks.stages import MEANINGS, STAGES, bars, medians, moments

LABELS = {"v6-node.vantage6.ai/run-id": "7", "v6-node.vantage6.ai/task-id": "5"}


def event(at: float, kind: str, what: str, **thing: Any) -> dict[str, Any]:
    return json.loads(line(at, kind, json.dumps({"type": what, "object": thing}).encode() + b"\n"))


def job(at: float, what: str = "MODIFIED", *conditions: str, name: str = "run-7", labels: Any = LABELS) -> Any:
    status = {"conditions": [{"type": each, "status": "True"} for each in conditions]}
    return event(at, "Job", what, metadata={"name": name, "labels": labels}, status=status)


def pod(at: float, what: str = "MODIFIED", state: str = "", machine: str = "", name: str = "run-7") -> Any:
    metadata = {"name": f"{name}-x", "labels": {"batch.kubernetes.io/job-name": name}}
    statuses = [{"name": "algorithm", "state": {state: {}}}] if state else []
    spec = {"terminationGracePeriodSeconds": 5, **({"nodeName": machine} if machine else {})}
    return event(at, "Pod", what, metadata=metadata, spec=spec, status={"containerStatuses": statuses})


def life() -> list[dict[str, Any]]:
    return [
        job(1, "ADDED"),
        pod(2, "ADDED"),
        pod(3, machine="m"),
        pod(4, state="waiting", machine="m"),
        pod(5, state="running", machine="m"),
        pod(6, state="terminated", machine="m"),
        job(7, "MODIFIED", "SuccessCriteriaMet"),
        job(8, "MODIFIED", "Complete"),
        pod(9, "DELETED", "terminated", "m"),
        job(10, "DELETED", "Complete"),
    ]


def seen(lines: list[dict[str, Any]]) -> SeenInCluster:
    found = SeenInCluster()
    found.take(lines)
    return found


def test_a_jobs_life_is_when_each_thing_was_seen_first() -> None:
    found = seen([*life(), *[{**each, "at": each["at"] + 100} for each in life()]]).of_run(7)
    assert found
    times = (found.created, found.scheduled, found.running, found.finished, found.pod_gone, found.gone)
    assert times == (1, 3, 5, 6, 9, 10)
    assert (found.run_id, found.task_id, found.grace) == (7, 5, 5.0)


def test_a_job_that_ended_without_its_pod_being_seen_has_finished_too() -> None:
    for condition in ("Complete", "Failed"):
        found = seen([job(1, "ADDED"), job(2, "MODIFIED", condition)]).of_run(7)
        assert found
        assert found.finished == 2


def test_a_pod_may_be_seen_before_its_job() -> None:
    found = seen([pod(1, "ADDED", machine="m"), job(2, "ADDED")])
    assert found.of_task(5) is found.of_run(7) is found.jobs["run-7"]


def test_jobs_of_no_run_are_seen_by_name_and_pods_of_no_job_are_not() -> None:
    alone = event(1, "Pod", "ADDED", metadata={"name": "v6-node-launcher-0"}, spec={}, status={})
    found = seen([job(1, "ADDED", name="raw-0", labels={"v6-node.vantage6.ai/task-id": "5"}), alone])
    assert list(found.jobs) == ["raw-0"]
    assert found.jobs["raw-0"].run_id is None
    assert found.of_task(5) is None


def test_a_bookmark_or_an_error_of_a_watch_is_passed_over() -> None:
    assert seen([event(1, "Job", "ERROR", code=410)]).jobs == {}


def exchange(
    at: float, method: str, path: str, body: Any = None, *, query: str = "", status: int = 200
) -> dict[str, Any]:
    facts = {"at": at, "seconds": 0.5, "method": method, "path": path, "query": query, "body": body, "status": status}
    return {"kind": "exchange", **facts}


EXCHANGES = [
    exchange(0, "POST", "/api/token/node", {"api_key": "k"}),
    exchange(4, "PATCH", "/api/run/7", {"status": "active"}),
    exchange(1, "GET", "/api/run", query="state=open&node_id=3&task_id=5"),
    exchange(2, "PATCH", "/api/run/7", {"started_at": "now"}),
    exchange(3, "POST", "/api/token/container", {"task_id": 5, "image": "i"}),
    exchange(5, "PATCH", "/api/run/7", {"finished_at": "now", "status": "completed"}, status=500),
    exchange(6, "PATCH", "/api/run/7", {"finished_at": "now", "status": "completed"}),
    exchange(7, "PATCH", "/api/run/77", {"finished_at": "now", "status": "completed"}),
]


def at_server(*words: str) -> SeenAtServer:
    found = SeenAtServer()
    found.take(EXCHANGES)
    found.take([{"kind": "word", "at": 0.5 + at, "of_server": True, "text": text} for at, text in enumerate(words)])
    return found


def test_the_calls_about_a_run_are_those_of_its_number_and_its_tasks() -> None:
    assert [call.at for call in at_server().of_run(7, 5)] == [1, 2, 3, 4, 5, 6]
    assert at_server().of_run(9, 9) == []


def test_delivered_is_what_the_server_accepted() -> None:
    delivery = at_server().delivery(7)
    assert delivery
    assert (delivery.at, delivery.answered) == (6, 6.5)
    assert at_server().delivery(8) is None


def test_a_killed_run_is_reported_though_the_server_had_closed_it_itself() -> None:
    found = at_server()
    found.take([exchange(8, "PATCH", "/api/run/9", {"finished_at": "now"}, status=502)])
    assert found.report(9) is None
    found.take([exchange(9, "PATCH", "/api/run/9", {"finished_at": "now"}, status=400)])
    report = found.report(9)
    assert report
    assert report.at == 9
    assert found.delivery(9) is None
    assert found.report(7) is found.delivery(7)


def test_a_call_that_began_before_what_led_to_it_was_seen_counts_from_then() -> None:
    (call,) = [Call(10.0, 2.0, "PATCH", "/api/run/7", "", {}, 200)]
    spans = ((9, 13), (11, 13), (9, 11), (12.5, 13), (8, 9))
    assert [overlap([call], *span) for span in spans] == [2, 1, 1, 0, 0]


@pytest.mark.parametrize(
    "text",
    ['42/tasks,["new_task",{"id":5,"parent_id":null}]', '42/tasks,["new_task",5]', '42/tasks,13["new_task",{"id":5}]'],
)
def test_a_task_is_told_of_when_its_event_passes(text: str) -> None:
    found = at_server("2", '42/tasks,["algorithm_status_change",{"id":5}]', text, text)
    assert found.told == {5: 2.5}


def test_what_the_node_says_is_no_event_of_the_server() -> None:
    found = SeenAtServer()
    found.take([{"kind": "word", "at": 1, "of_server": False, "text": '42/tasks,["new_task",{"id":5}]'}])
    assert found.told == {}


OLD, NEW = Ids(run=7, task=5, node=3, organization=2, collaboration=1), Ids(70, 50, 30, 20, 10)


def test_an_event_of_the_node_is_one_of_the_calls_about_its_run() -> None:
    found = at_server()
    data = {"run_id": 7, "task_id": 5, "collaboration_id": 1, "organization_id": 2, "status": "active"}
    texts = [f'42/tasks,["change",{json.dumps(data)}]', f'42/tasks,3["log",{json.dumps(data)}]', '42/tasks,["ping"]']
    found.take({"kind": "word", "at": 4.5, "of_server": False, "text": text} for text in texts)
    events = [call for call in found.of_run(7, 5) if call.at == 4.5]
    assert events == [Call(4.5, 0, TELL, "change", "", data, 0), Call(4.5, 0, ASK, "log", "", data, 0)]
    again = readdressed(events[0], OLD, NEW)
    assert again.body == {
        "run_id": 70, "task_id": 50, "collaboration_id": 10, "organization_id": 20, "status": "active",
    }  # fmt: skip


def calls() -> list[Call]:
    return at_server().of_run(7, 5)


def test_calls_are_readdressed_in_path_query_and_body() -> None:
    listed, taken, token, *_ = [readdressed(call, OLD, NEW) for call in calls()]
    assert parse_qs(listed.query) == {"state": ["open"], "node_id": ["30"], "task_id": ["50"]}
    assert (taken.path, taken.body) == ("/api/run/70", {"started_at": "now"})
    assert token.body == {"task_id": 50, "image": "i"}


def test_readdressed_and_back_it_is_the_same() -> None:
    for call in calls():
        assert readdressed(readdressed(call, OLD, NEW), NEW, OLD) == call


def test_a_number_that_is_somebody_elses_stays() -> None:
    (call,) = [Call(1, 0, "POST", "/api/x/7", "page=5", {"task_id": 6, "count": 5}, 200)]
    assert readdressed(call, OLD, NEW) == call


def a_job() -> SeenJob:
    found = seen([{**each, "at": each["at"] + 1} for each in life()]).of_run(7)
    assert found
    return found


def test_the_moments_of_a_run_are_counted_from_its_event() -> None:
    algorithm = {"files": 1.75, "started": 4.5, "began": 5.5, "ended": 5.75}
    found = moments(a_job(), at_server('42/tasks,["new_task",5]'), algorithm, removed=12.5)
    assert found == {
        "event": 0, "taken": 2.0, "token": 3.0, "files": 1.25, "created": 1.5, "scheduled": 3.5, "started": 4.0,
        "began": 5.0,
        "ended": 5.25, "noticed": 6.5, "read": 5.5, "delivered": 6.0, "cleaned up": 10.5, "files removed": 12.0,
    }  # fmt: skip


def test_without_an_event_there_are_no_moments_and_what_nobody_saw_is_missing() -> None:
    assert moments(a_job(), at_server(), {}, None) == {}
    alone = SeenJob("run-6", {f"v6-node.vantage6.ai/{kind}-id": "6" for kind in ("run", "task")})
    assert moments(alone, at_server('42/tasks,["new_task",6]'), {}, None) == {"event": 0}


def test_every_stage_has_a_meaning() -> None:
    assert list(MEANINGS) == [stage.name for stage in STAGES]


NAMES = st.sampled_from([stage.name for stage in STAGES])


@given(st.dictionaries(NAMES, st.floats(0, 100)))
def test_bars_follow_on_each_other_and_none_is_negative(found: dict[str, float]) -> None:
    shown = bars(found)
    assert {stage.name for stage, _, _ in shown} == set(found) - {"event"}
    assert all(before <= after for _, before, after in shown)
    assert all(one[2] == other[1] for one, other in itertools.pairwise(shown))


@given(st.lists(st.dictionaries(NAMES, st.floats(0, 100)), max_size=5))
def test_the_median_of_a_moment_is_over_those_runs_that_have_it(runs: list[dict[str, float]]) -> None:
    found = medians(runs)
    assert set(found) == {name for run in runs for name in run}
    for name, value in found.items():
        values = [run[name] for run in runs if name in run]
        assert min(values) <= value <= max(values)


def test_a_journal_gives_each_whole_line_once(tmp_path: Path) -> None:
    file = tmp_path / "x"
    journal = Journal(file)
    assert journal.new() == []
    with file.open("ab") as written:
        for content, new in ((b'{"a": 1}\n{"b"', [{"a": 1}]), (b": 2}", []), (b"\n", [{"b": 2}]), (b"", [])):
            written.write(content)
            written.flush()
            assert journal.new() == new
