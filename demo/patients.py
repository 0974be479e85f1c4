"""Patients that never were: plausible at a glance, different at each run, the same again with the same seed."""

import csv
import math
import random
from pathlib import Path

COLUMN = "systolic_pressure"  # mmHg
HEADER = ["patient", "age", "sex", "bmi", COLUMN, "diabetes"]


def write_patients(path: Path, seed: str) -> int:
    """Write a hospital's patients as CSV; returns how many there are (60 to 600).

    Args:
        path: the file.
        seed: decides everything; give each hospital one of its own.
    """
    chance = random.Random(seed)  # noqa: S311 - made-up people are no secret
    # Hospitals differ in size and in whom they see, so an average of their averages would be wrong.
    older = chance.uniform(-8, 8)
    count = chance.randint(60, 600)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(_patient(chance, number, older) for number in range(1, count + 1))
    path.chmod(0o644)
    return count


def _patient(chance: random.Random, number: int, older: float) -> list[object]:
    age = round(min(max(chance.gauss(61 + older, 14), 18), 99))
    bmi = round(min(max(chance.gauss(26.5, 4.2), 15), 50), 1)
    diabetes = chance.random() < 0.05 + max(bmi - 25, 0) * 0.015
    pressure = chance.gauss(104 + 0.45 * age + 0.35 * (bmi - 25) + 4 * diabetes, 13)
    # One in twenty was never measured.
    measured = "" if chance.random() < 0.05 else f"{pressure:.1f}"
    return [f"P{number:04}", age, chance.choice("FM"), bmi, measured, int(diabetes)]


def direct_average(files: list[Path]) -> tuple[float, int]:
    """Return the average of all files' values in `COLUMN`, and their number: what nobody could do in the field."""
    values = []
    for path in files:
        with path.open(newline="") as file:
            values += [float(row[COLUMN]) for row in csv.DictReader(file) if row[COLUMN]]
    return math.fsum(values) / len(values), len(values)
