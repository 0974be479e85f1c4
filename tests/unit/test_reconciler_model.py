"""Whatever happens: each run is executed at most once, its end is told once and as it was, and nothing is left.

Nor are there ever more algorithms than the node has places for, and yet each comes to its turn, a central function's
subtasks too, for which it waits.

Hypothesis chooses what happens next at the server, in the cluster, on the volume, on the ways between them and to the
launcher's process. After each step nothing may be wrong; when trouble is over everything must come to its end.
"""

import logging
import os
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.unit.model_launcher import Launcher
from tests.unit.model_process import Fate
from tests.unit.model_world import CLUSTER_CALLS, SERVER_CALLS, World

EXPLORE = "V6_NODE_EXPLORE"
"""How many examples to try, other ones each time (`make explore`); without this variable they are the same ones."""
_ROUNDS, _ROUND_SECONDS = 60, 20.0
PAUSES = st.sampled_from([0.0, 0.6, 4.0, 70.0, 700.0])
LAGS = st.sampled_from([700.0, 4.0, 70.0, 0.6])
# What changes something, and what happens though nobody learns of it, comes more often.
OFTEN = [*3 * ["create", "deliver", "delete"], *2 * ["open", "take", "approve", "token"]]
CALLS = st.sampled_from([*OFTEN, *SERVER_CALLS, *CLUSTER_CALLS, "thread"])
MOSTLY = [*3 * [Fate.CUT, Fate.LOST, Fate.SLOW, Fate.LAST_DONE, Fate.SLOW_ANSWER], *Fate]
FATES = st.lists(st.sampled_from(MOSTLY), min_size=1, max_size=3)
KINDS = st.sampled_from([*3 * ["usual"], "forbidden", "unreadable", "too large"])
WATCHES = st.sampled_from([("jobs", "pods"), ("jobs",), ("pods",)])


class Site(RuleBasedStateMachine):
    """One launcher, and everything that may happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(self.folder, Launcher)
        clock = SimpleNamespace(monotonic=lambda: self.world.clock.now)
        self.patches = pytest.MonkeyPatch()
        for module in ("notices", "logfollow"):
            self.patches.setattr(f"launcher.{module}.time", clock)
        self.patches.setattr(os, "fsync", lambda _: None)
        self.settle()

    def settle(self, seconds: float = 0.0) -> None:
        self.world.run(seconds)
        assert not self.world.wrong, self.world.wrong

    def some_run(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.world.server)), label="run")

    # The server

    @initialize(
        plans=st.lists(st.tuples(CALLS, FATES), min_size=2, max_size=6),
        kinds=WATCHES,
        seconds=LAGS,
        gate_open=st.sampled_from([True, True, False]),
        limit=st.sampled_from([1, None, 2]),
        keep_failed=st.sampled_from([0.0, 3600.0]),
    )
    def a_beginning(self, plans, kinds, seconds, *, gate_open, limit, keep_failed):
        self.world.gate_open, self.world.keep_failed = gate_open, keep_failed
        self.world.limit = limit
        self.world.restart()
        self.settle()
        for call, fates in plans:
            self.calls_will_meet_trouble(call, fates)
        self.a_watch_lags(kinds, seconds)
        for _ in range(2):
            self.a_task_is_sent("usual", heard=True)

    @precondition(lambda self: len(self.world.server) < 4)
    @rule(kind=KINDS, heard=st.booleans())
    def a_task_is_sent(self, kind, heard):
        run_id = self.world.add_task(kind)
        if heard:
            self.world.process.hint(100 + run_id)
        self.settle()

    @precondition(lambda self: len(self.world.server) < 6 and self.running())
    @rule(data=st.data(), heard=st.booleans())
    def an_algorithm_sends_a_subtask(self, data, heard):
        run_id = self.world.add_task("usual", data.draw(st.sampled_from(self.running()), label="parent"))
        if heard:
            self.world.process.hint(100 + run_id)
        self.settle()

    def running(self):
        world = self.world
        jobs = sorted(number for number in world.kubernetes.jobs if world.kubernetes.state(number) == "running")
        return [number for number in jobs if not world.server[number].closed]

    @precondition(lambda self: self.world.server)
    @rule(data=st.data())
    def the_server_tells_of_a_task_again(self, data):
        self.world.process.hint(100 + self.some_run(data))
        self.settle()

    @precondition(lambda self: self.world.server)
    @rule(data=st.data(), closes=st.booleans(), heard=st.booleans(), seconds=PAUSES)
    def a_run_is_killed(self, data, closes, heard, seconds):
        self.world.kill(self.some_run(data), closes=closes, heard=heard)
        self.settle(seconds)

    @rule(seconds=LAGS)
    def the_server_is_away(self, seconds):
        self.world.server_away_until = self.world.clock.now + seconds

    @rule()
    def the_connection_is_made_anew(self):
        self.world.process.sync()
        self.settle()

    # The cluster

    @precondition(lambda self: self.world.kubernetes.jobs)
    @rule(
        data=st.data(),
        stages=st.integers(1, 4),
        exit_code=st.sampled_from([0, 3, 0]),
        output=st.sampled_from(["good", "good", "none", "link"]),
        seconds=PAUSES,
    )
    def a_job_gets_on(self, data, stages, exit_code, output, seconds):
        run_id = data.draw(st.sampled_from(sorted(self.world.kubernetes.jobs)), label="run")
        for _ in range(stages):
            self.world.advance(run_id, exit_code=exit_code, output=output)
            self.settle(seconds)

    @precondition(lambda self: self.world.kubernetes.jobs)
    @rule(data=st.data())
    def a_job_is_deleted_by_hand(self, data):
        self.world.delete_by_hand(data.draw(st.sampled_from(sorted(self.world.kubernetes.jobs)), label="run"))
        self.settle()

    @precondition(lambda self: self.world.kubernetes.pods)
    @rule(data=st.data())
    def a_pod_is_lost(self, data):
        run_id = data.draw(st.sampled_from(sorted(self.world.kubernetes.pods)), label="run")
        if self.world.kubernetes.state(run_id) in {"pending", "waiting", "running", "terminated"}:
            self.world.lose_pod(run_id)
        self.settle()

    @precondition(lambda self: self.world.kubernetes.pods)
    @rule(data=st.data())
    def a_container_can_not_be_made(self, data):
        run_id = data.draw(st.sampled_from(sorted(self.world.kubernetes.pods)), label="run")
        if self.world.kubernetes.state(run_id) == "pending":
            self.world.hold_back(run_id)
        self.settle()

    @precondition(lambda self: self.world.kubernetes.pods)
    @rule(data=st.data(), seconds=PAUSES)
    def a_pod_finds_no_room(self, data, seconds):
        run_id = data.draw(st.sampled_from(sorted(self.world.kubernetes.pods)), label="run")
        if self.world.kubernetes.state(run_id) == "pending":
            self.world.find_no_room(run_id)
        self.settle(seconds)

    @precondition(lambda self: self.world.server)
    @rule(data=st.data())
    def somebody_elses_job_is_in_the_way(self, data):
        run_id = self.some_run(data)
        if self.world.kubernetes.state(run_id) == "none":
            self.world.add_foreign_job(run_id)
        self.settle()

    @rule(seconds=LAGS)
    def the_api_server_is_away(self, seconds):
        self.world.kubernetes.away_until = self.world.clock.now + seconds
        self.world.kubernetes.told()
        self.settle()

    @rule(kind=st.sampled_from(["jobs", "pods"]), how=st.sampled_from(["cut", "gone"]))
    def a_watch_breaks(self, kind, how):
        self.world.kubernetes.broken[kind] = how
        self.world.kubernetes.told()
        self.settle()

    @rule(kinds=WATCHES, seconds=LAGS)
    def a_watch_lags(self, kinds, seconds):
        for kind in kinds:
            self.world.kubernetes.held[kind] = self.world.clock.now + seconds

    # The launcher

    @rule(call=CALLS, fates=FATES)
    def calls_will_meet_trouble(self, call, fates):
        self.world.planned[call] += fates

    @rule()
    def the_launcher_is_killed(self):
        self.world.process.kill()

    @precondition(lambda self: self.world.process.dead)
    @rule()
    def the_launcher_is_started(self):
        self.world.restart()
        self.settle()

    @rule(seconds=PAUSES)
    def the_gate_opens_and_shuts(self, seconds):
        self.world.set_gate(is_open=not self.world.gate_open)
        self.settle(seconds)

    @rule(seconds=PAUSES)
    def the_volume_fills_and_empties(self, seconds):
        self.world.set_room(has_room=not self.world.has_room)
        self.settle(seconds)

    @rule(seconds=PAUSES)
    def time_passes(self, seconds):
        self.settle(seconds)

    def teardown(self):
        try:
            if not self.world.wrong:
                self.everything_comes_to_its_end()
        finally:
            self.patches.undo()
            self.world.end()
            shutil.rmtree(self.folder)

    def everything_comes_to_its_end(self):
        self.world.heal()
        launcher = self.world.process
        launcher.deaf = True
        # What the launcher has heard of ends by itself, the rest when the server is asked the next time.
        waited_for = {number for number in self.world.server if self.world.kind(number) != "task"}
        if waited_for <= launcher.heard_of:
            self.time_and_jobs_go_on({run_id for run_id in launcher.heard_of if not self.world.server[run_id].closed})
        launcher.sync()
        self.time_and_jobs_go_on(set(self.world.server))
        assert not launcher.dead
        assert not {name for name in launcher.busy_with() if name.startswith(("run-", "log-"))}
        assert not launcher.reconciler.tmp_in_use

    def time_and_jobs_go_on(self, run_ids):
        for _ in range(_ROUNDS):
            self.settle(_ROUND_SECONDS)
            if not self.world.left(run_ids):
                break
            for run_id in run_ids & self.world.kubernetes.jobs.keys():
                # An algorithm that nobody waits for may go on for ever.
                if not self.world.server[run_id].closed or self.world.kubernetes.state(run_id) == "deleting":
                    self.world.advance(run_id)
        self.settle(_ROUND_SECONDS)
        assert not self.world.left(run_ids), self.world.left(run_ids)


def test_whatever_happens_each_run_ends_as_it_did_and_nothing_is_left():
    logging.disable(logging.CRITICAL)
    try:
        run_state_machine_as_test(
            Site,
            settings=settings(
                max_examples=int(os.environ.get(EXPLORE, "200")),
                derandomize=EXPLORE not in os.environ,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        logging.disable(logging.NOTSET)
