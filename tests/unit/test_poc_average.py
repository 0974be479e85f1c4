"""The proof of concept's average algorithm and its data, without a cluster."""

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

POC = Path(__file__).parents[1] / "poc"
EMPLOYEES = POC / "csv" / "employees.csv"


@pytest.fixture
def app() -> ModuleType:
    spec = importlib.util.spec_from_file_location("poc_average", POC / "average" / "app.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_average_of_a_column_is_written_and_the_network_is_told_of(
    app: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "connects", lambda host, port: host == "proxyserver")
    monkeypatch.setenv("OUTSIDE", "GE4TELRQFYZC4MI!")
    app.main(str(EMPLOYEES), "Age", str(tmp_path / "avg.txt"), "0")
    with EMPLOYEES.open() as file:
        ages = [int(row["Age"]) for row in csv.DictReader(file)]
    assert float((tmp_path / "avg.txt").read_text()) == sum(ages) / len(ages)
    said = capsys.readouterr().out
    assert "Outbound access is disabled (192.0.2.1)" in said
    assert "The proxy is reachable (proxyserver)" in said


def test_rows_without_a_value_do_not_count(app: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,x\n,y\n2,z\n")
    assert app.average(str(tmp_path / "a.csv"), "a") == 1.5
