"""Plays many cases of the matrix at once on one site: what happens to one run happens to all that are on their way."""

import contextlib
from dataclasses import dataclass

from tests.faults.judge import complaints, left_behind
from tests.faults.matrix import Case
from tests.faults.site import FaultySite, Sent, Volume
from tests.stage import StageError
from tests.stage.waiting import wait_until

NEVER_HAPPENED = "the run never was where the fault was to strike"
_OVER_WITHIN = 300.0
_GONE_WITHIN = 60.0


@dataclass
class Verdicts:
    """How it ended."""

    of_case: dict[str, list[str]]
    """What is wrong with each run, by its case's name."""
    left_behind: list[str]
    deaths: int = 0
    """How often the launcher was killed."""


def play(site: FaultySite, cases: list[Case]) -> Verdicts:
    """Send a run for each case, wait until all is over, and judge.

    A run that another one's fault took past its own step is no case: it is sent once more, alone.

    Args:
        site: where; nothing else is sent there meanwhile.
        cases: each once.
    """
    deaths = site.direction.deaths
    verdicts = _play(site, cases)
    for each in cases:
        if verdicts.of_case[str(each)][:1] == [NEVER_HAPPENED]:
            again = _play(site, [each])
            verdicts.of_case |= again.of_case
            verdicts.left_behind += again.left_behind
    verdicts.deaths = site.direction.deaths - deaths
    return verdicts


def _play(site: FaultySite, cases: list[Case]) -> Verdicts:
    sent = {str(case): site.send(case.wanted, case.strikes(site)) for case in cases}
    kill_those_that_run(site, list(sent.values()))
    late, volume = wait_for_the_end(site, list(sent.values()))
    found = {name: complaints(site, each, volume) for name, each in sent.items()}
    for name, each in sent.items():
        if not found[name] and site.direction.left_out(each.run):
            found[name] = [NEVER_HAPPENED]
        if found[name]:
            found[name].append(f"run {each.run} was at\n{site.direction.story(each.run)}")
    return Verdicts(found, [*late, *left_behind(site, volume)])


def kill_those_that_run(site: FaultySite, sent: list[Sent]) -> None:
    """Kill those that shall be, each as soon as it runs, as a researcher may do it."""
    for each in sent:
        if each.wanted.killed:
            with contextlib.suppress(StageError):  # the judge will say so
                each.task.wait(_OVER_WITHIN, until=lambda task: task.statuses() == ["active"])
            site.node.collaboration.federation.root.task.kill(each.task.id)


def wait_for_the_end(site: FaultySite, sent: list[Sent]) -> tuple[list[str], Volume]:
    """Wait until all runs are over and nothing is left of them; says what never came to its end.

    With it the volume as it was at that moment: later a check of the isolation may write to it.
    """
    late: list[str] = []
    at_rest: list[Volume] = []

    def idle() -> bool:
        at_rest.extend(site.at_rest())
        return bool(at_rest)

    ended = (_OVER_WITHIN, lambda: all(each.task.finished() for each in sent))
    for seconds, over in (ended, (_GONE_WITHIN, idle)):
        try:
            wait_until(over, seconds, lambda: "not all runs have come to their end", every=0.5)
        except StageError as error:
            late.append(str(error))
    return late, at_rest[0] if at_rest else site.volume()
