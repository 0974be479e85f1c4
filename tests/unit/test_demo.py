"""The demo's patients and its verdict; the rest of it is played on a cluster."""

import csv
import math
from pathlib import Path

import pytest

from demo.patients import COLUMN, HEADER, direct_average, write_patients
from demo.screen import TOLERANCE, compare


def test_a_seed_makes_the_same_patients_again_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", "1-North"), ("b", "1-North"), ("c", "2-North"), ("d", "1-South")):
        write_patients(tmp_path / name, seed)
    same, other, elsewhere = ((tmp_path / name).read_text() for name in ("b", "c", "d"))
    assert (tmp_path / "a").read_text() == same
    assert len({same, other, elsewhere}) == 3


@pytest.mark.parametrize("seed", ["7-North", "7-East", "7-South", "8-North"])
def test_patients_are_plausible(tmp_path: Path, seed: str) -> None:
    count = write_patients(tmp_path / "patients.csv", seed)
    with (tmp_path / "patients.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == HEADER
    assert len(rows) == count
    assert all(18 <= int(row["age"]) <= 99 for row in rows)
    pressures = [float(row[COLUMN]) for row in rows if row[COLUMN]]
    assert all(70 < pressure < 220 for pressure in pressures)
    assert 0 < len(rows) - len(pressures) < len(rows) / 5, "some were never measured"


def test_the_direct_average_is_over_patients_not_over_hospitals(tmp_path: Path) -> None:
    for name, values in (("a", ["100.0", ""]), ("b", ["110.0", "120.0", "130.0"])):
        (tmp_path / name).write_text("\n".join([f"patient,{COLUMN}", *(f"P,{value}" for value in values)]) + "\n")
    assert direct_average([tmp_path / "a", tmp_path / "b"]) == (115.0, 4)


@pytest.mark.parametrize(
    ("average", "count", "agree"),
    [
        (130.0, 10, True),
        (130.0 * (1 + TOLERANCE / 2), 10, True),
        (130.0 * (1 + TOLERANCE * 2), 10, False),
        (130.0, 9, False),
        (math.nan, 10, False),
    ],
)
def test_the_verdict(average: float, count: int, agree: bool) -> None:
    assert compare({"average": average, "count": count, "parts": 3}, 130.0, 10) is agree
