"""What a soak does follows from its seed, and what it says follows from what it found."""

from itertools import islice

from tests.soak import chance, report
from tests.soak.__main__ import BATCH, Soak
from tests.soak.batch import Result


def test_the_same_seed_does_the_same():
    def of(seed: str) -> tuple[list[str], list[chance.Event]]:
        return list(map(repr, chance.cast(seed, 50, calm=False))), list(islice(chance.events(seed, calm=False), 50))

    assert of("7/0") == of("7/0")
    assert of("7/0") != of("7/1")


def test_every_kind_of_run_and_of_trouble_comes_up():
    casts = chance.cast("1", 1000, calm=False)
    assert {each.wanted.status for each in casts} == {"completed", "crashed", "killed by user"}
    assert {each.case.step.name for each in casts if each.case} > {"taken", "delivered", "files removed"}
    assert any(each.wanted.calls for each in casts)
    found = {each.what for each in islice(chance.events("1", calm=False), 200)}
    assert found == set(chance._WEIGHTS)


def test_in_a_calm_batch_the_launcher_is_not_killed():
    assert not any(each.case.kills for each in chance.cast("1", 1000, calm=True) if each.case)
    assert chance.KILLED not in {each.what for each in islice(chance.events("1", calm=True), 200)}


def test_the_slope_is_of_launchers_that_lived_and_were_warm():
    steady = [(1, runs, 1000 + 2 * runs) for runs in range(100, 140)]
    other = [(2, runs, 5000 + 2 * runs) for runs in range(100, 120)]
    start = [(3, runs, 900 * runs) for runs in range(100)]
    growth, span = report.slope([*steady, *other, *start])
    assert (round(growth, 6), span) == (2, 39 + 19)
    assert report.slope([]) == (0, 0)


def test_what_is_wrong_is_said_with_the_seed():
    good = Result(50, False, seconds=60, deaths=2, happened={"no server": 1})
    bad = Result(50, True, seconds=60, wrong={"7": ["it was executed 2 times"]}, left_behind=["jobs: ['run-7']"])
    told = "\n".join(report.lines("42", [good, bad]))
    assert "seed 42: 100 runs in 2 min, launcher killed 2 times" in told
    assert "runs that are wrong: 1; left behind: 1" in told
    assert "run 7:\nit was executed 2 times" in told
    assert (good.good, bad.good) == (True, False)


def test_one_launcher_lives_through_the_end(tmp_path):
    soak = Soak("42", 20 * BATCH, tmp_path / "42.jsonl")
    assert [number for number in range(len(soak.sizes)) if soak.is_calm(number)] == [16, 17, 18, 19]
    assert not Soak("42", BATCH, soak.file).is_calm(0)


def test_a_soak_goes_on_where_it_was(tmp_path):
    soak = Soak("42", 2 * BATCH + 1, tmp_path / "42.jsonl")
    soak.file.touch()
    assert soak.sizes == [BATCH, BATCH, 1]
    result = Result(BATCH, False, memory=[(1, 2, 3)])
    soak.add(result)
    soak.add(Result(BATCH, False, wrong={"7": ["lost"]}))
    again = Soak("42", 2 * BATCH + 1, soak.file)
    assert [each.runs for each in again.results] == [BATCH, BATCH]
    assert [each.good for each in again.results] == [True, False]
    assert [tuple(each) for each in again.results[0].memory] == result.memory
