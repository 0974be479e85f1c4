"""What a soak found, in words."""

from collections import Counter
from collections.abc import Iterator

from tests.soak.batch import Result

_WARM_UP = 100
"""Runs after which a launcher has everything in memory that it always has: more threads, connections, caches."""


def slope(memory: list[tuple[int, int, int]]) -> tuple[float, int]:
    """By how many KiB a launcher grows with each run, and on how many runs that is reckoned.

    The least squares of memory over runs, within each process, of what it held after its first runs.
    """
    over = under = 0.0
    span = 0
    for process in {each[0] for each in memory}:
        points = [(runs, kib) for which, runs, kib in memory if which == process and runs >= _WARM_UP]
        if len(points) < 2:
            continue
        middle = sum(runs for runs, _ in points) / len(points)
        level = sum(kib for _, kib in points) / len(points)
        over += sum((runs - middle) * (kib - level) for runs, kib in points)
        under += sum((runs - middle) ** 2 for runs, _ in points)
        span += points[-1][0] - points[0][0]
    return (over / under if under else 0.0), span


def lines(seed: str, results: list[Result]) -> Iterator[str]:
    """The report."""
    runs, deaths = sum(each.runs for each in results), sum(each.deaths for each in results)
    seconds = sum(each.seconds for each in results)
    happened = sum((Counter(each.happened) for each in results), Counter())
    yield f"seed {seed}: {runs} runs in {seconds / 60:.0f} min, launcher killed {deaths} times"
    yield ", ".join(f"{what} {times}" for what, times in sorted(happened.items()))
    growth, span = slope([each for result in results if result.calm for each in result.memory])
    most = max((kib for result in results for _, _, kib in result.memory), default=0)
    yield f"launcher: at most {most / 1024:.0f} MiB; {growth:+.1f} KiB a run, over {span} runs of processes that lived"
    wrong = {run: found for result in results for run, found in result.wrong.items()}
    left = [each for result in results for each in result.left_behind]
    yield f"runs that are wrong: {len(wrong)}; left behind: {len(left)}"
    for run, found in wrong.items():
        yield f"run {run}:\n" + "\n".join(found)
    yield from left
