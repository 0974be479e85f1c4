"""The decision table, whole: every combination of what server, cluster and task volume say."""

from itertools import product

import pytest

from launcher.runs import JobState, ServerState, Step, decide

FLAGS = ("launched", "files", "active_reported", "killed", "place")


def everything():
    for server, job in product(ServerState, JobState):
        for flags in product((False, True), repeat=len(FLAGS)):
            yield server, job, dict(zip(FLAGS, flags, strict=True))


def step(server, job, **flags):
    return decide(server, job, **{**dict.fromkeys(FLAGS, False), **flags})


@pytest.mark.parametrize(
    ("server", "job", "flags", "expected"),
    [
        (ServerState.OPEN, JobState.NONE, {}, Step.QUEUE),
        (ServerState.OPEN, JobState.NONE, {"files": True}, Step.QUEUE),
        (ServerState.OPEN, JobState.NONE, {"place": True}, Step.START),
        (ServerState.OPEN, JobState.NONE, {"files": True, "place": True}, Step.START),
        (ServerState.OPEN, JobState.NONE, {"launched": True, "place": True}, Step.REPORT_VANISHED),
        (ServerState.OPEN, JobState.NONE, {"launched": True, "files": True}, Step.REPORT_VANISHED),
        (ServerState.OPEN, JobState.PENDING, {"launched": True}, Step.WAIT),
        (ServerState.OPEN, JobState.RUNNING, {"launched": True}, Step.REPORT_ACTIVE),
        (ServerState.OPEN, JobState.RUNNING, {"launched": True, "active_reported": True}, Step.WAIT),
        (ServerState.OPEN, JobState.FINISHED, {"launched": True}, Step.DELIVER),
        (ServerState.OPEN, JobState.RUNNING, {"killed": True}, Step.DELETE_JOB),
        (ServerState.OPEN, JobState.PENDING, {"killed": True}, Step.DELETE_JOB),
        (ServerState.UNKNOWN, JobState.RUNNING, {"killed": True}, Step.DELETE_JOB),
        (ServerState.OPEN, JobState.DELETING, {"killed": True}, Step.REPORT_KILLED),
        (ServerState.OPEN, JobState.FINISHED, {"killed": True}, Step.REPORT_KILLED),
        (ServerState.OPEN, JobState.NONE, {"killed": True}, Step.REPORT_KILLED),
        (ServerState.OPEN, JobState.DELETING, {}, Step.WAIT),
        (ServerState.UNKNOWN, JobState.FINISHED, {}, Step.ASK_SERVER),
        (ServerState.UNKNOWN, JobState.NONE, {"files": True}, Step.ASK_SERVER),
        (ServerState.CLOSED, JobState.RUNNING, {}, Step.DELETE_JOB),
        (ServerState.CLOSED, JobState.FINISHED, {"files": True}, Step.DELETE_JOB),
        (ServerState.CLOSED, JobState.NONE, {"files": True}, Step.REMOVE_FILES),
        (ServerState.CLOSED, JobState.NONE, {}, Step.FORGET),
    ],
)
def test_the_table(server, job, flags, expected):
    assert step(server, job, **flags) is expected


def test_a_run_is_started_only_if_it_is_open_has_no_job_and_never_had_one():
    started = [
        (server, job, flags) for server, job, flags in everything() if decide(server, job, **flags) is Step.START
    ]
    assert started
    for server, job, flags in started:
        assert (server, job) == (ServerState.OPEN, JobState.NONE)
        assert not flags["launched"] and not flags["killed"] and flags["place"]


def test_a_run_waits_for_a_place_in_those_cases_in_which_it_would_start_with_one():
    for server, job, flags in everything():
        if decide(server, job, **flags) is Step.QUEUE:
            assert decide(server, job, **{**flags, "place": True}) is Step.START


def test_a_place_matters_for_nothing_but_the_start():
    for server, job, flags in everything():
        given, missing = (decide(server, job, **{**flags, "place": place}) for place in (True, False))
        assert given is missing or (given, missing) == (Step.START, Step.QUEUE)


def test_a_job_is_deleted_only_when_the_server_has_closed_the_run_or_has_it_killed():
    deletes = {
        server
        for server, job, flags in everything()
        if decide(server, job, **flags) is Step.DELETE_JOB and not flags["killed"]
    }
    assert deletes == {ServerState.CLOSED}


def test_files_are_removed_only_when_the_run_is_closed_and_its_job_is_gone():
    removals = {(s, j) for s, j, flags in everything() if decide(s, j, **flags) is Step.REMOVE_FILES}
    assert removals == {(ServerState.CLOSED, JobState.NONE)}


def test_a_foreign_job_is_only_ever_reported():
    steps = {decide(s, j, **flags) for s, j, flags in everything() if j is JobState.FOREIGN}
    assert steps == {Step.REPORT_FOREIGN}
