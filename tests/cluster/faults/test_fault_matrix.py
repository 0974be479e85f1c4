"""Every fault at every step of a run: the run ends as if nothing had happened, and nothing of it is left.

One fault for each step is always tried; `pytest tests/cluster/faults` without `-m "not slow"` tries every one.
"""

import time
from collections.abc import Callable

import pytest

from tests import figures
from tests.faults.image.faulty.steps import STEPS
from tests.faults.matrix import EVERY, ONE_FOR_EACH, Case, Fault
from tests.faults.play import Verdicts, play
from tests.faults.site import FaultySite, Wanted
from tests.stage.waiting import wait_until

Played = Callable[[str, list[Case]], Verdicts]


@pytest.fixture(scope="module")
def played(site: FaultySite) -> Played:
    """Plays a group of cases when it is first asked for one of them."""
    verdicts: dict[str, Verdicts] = {}

    def of_group(name: str, cases: list[Case]) -> Verdicts:
        if name not in verdicts:
            began = time.monotonic()
            verdicts[name] = play(site, cases)
            took = f"{len(cases)} runs, launcher killed {verdicts[name].deaths} times, {time.monotonic() - began:.0f} s"
            figures.note("figures", f"faults: {name}: {took}")
        return verdicts[name]

    return of_group


def case(each: Case) -> object:
    return pytest.param(each, id=str(each))


@pytest.mark.contract("§6 a run is executed once")
@pytest.mark.parametrize("each", [case(each) for each in ONE_FOR_EACH])
def test_one_fault_for_each_step_changes_nothing(each: Case, played: Played) -> None:
    found = played("one for each step", ONE_FOR_EACH).of_case[str(each)]
    assert not found, "\n".join(found)


def test_after_one_fault_for_each_step_nothing_is_left(played: Played) -> None:
    left = played("one for each step", ONE_FOR_EACH).left_behind
    assert not left, "\n".join(left)


@pytest.mark.slow
@pytest.mark.parametrize("each", [case(each) for each in EVERY])
def test_every_fault_at_every_step_changes_nothing(each: Case, played: Played) -> None:
    found = played(each.fault.value, [other for other in EVERY if other.fault is each.fault]).of_case[str(each)]
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("fault", Fault)
def test_after_a_fault_at_every_step_nothing_is_left(fault: Fault, played: Played) -> None:
    left = played(fault.value, [each for each in EVERY if each.fault is fault]).left_behind
    assert not left, "\n".join(left)


@pytest.mark.slow
@pytest.mark.parametrize("step", [pytest.param(step, id=step.name) for step in STEPS if step.volume])
def test_killed_before_each_change_of_the_volume_changes_nothing(step, site: FaultySite, played: Played) -> None:
    """How many changes a step makes is counted on a run that nothing happens to."""
    rehearsal = Case(step, Fault.KILLED_WITHIN).wanted if step.name == "kill noted" else Wanted(1)
    changes = undisturbed(site, rehearsal)[step.name]
    cases = [Case(step, Fault.KILLED_WITHIN, nth) for nth in range(1, changes + 1)]
    verdicts = played(f"every change of {step}", cases)
    assert {name: found for name, found in verdicts.of_case.items() if found} == {}
    assert not verdicts.left_behind, "\n".join(verdicts.left_behind)


def undisturbed(site: FaultySite, wanted: Wanted) -> dict[str, int]:
    sent = site.send(wanted)
    if wanted.killed:
        sent.task.wait(60, until=lambda task: task.statuses() == ["active"])
        site.node.collaboration.federation.root.task.kill(sent.task.id)
    wait_until(lambda: sent.task.finished() and bool(site.at_rest()), 60, lambda: "the rehearsal does not end")
    return site.direction.changes(sent.run)
