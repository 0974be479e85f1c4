"""What is concluded from the diagnostics algorithm's look at a database."""

import asyncio
import json
from pathlib import Path

import pytest

from launcher import databasecheck
from launcher.checkjobs import NotRunnable
from launcher.config.node import Database, NodeSection
from launcher.databasecheck import DatabaseCheck, finding, say_what_is_not_copied
from tests.unit.algorithm_module import imported

CSV = Database(label="default", type="csv", uri="/srv/a.csv")


@pytest.mark.contract("§11 mount_mode copy")
def test_that_nothing_is_copied_is_said_once_and_only_where_it_was_asked_for(caplog: pytest.LogCaptureFixture):
    databases = [
        {"label": "a", "type": "csv", "uri": "/a.csv", "mount_mode": "copy"},
        {"label": "b", "type": "folder", "uri": "/b", "mount_mode": "copy"},
        {"label": "c", "type": "csv", "uri": "/c.csv", "mount_mode": "ro"},
        {"label": "d", "type": "csv", "uri": "/d.csv"},
        {"label": "e", "type": "sql", "mount_mode": "copy"},
    ]
    say_what_is_not_copied(NodeSection.model_validate({"server_url": "https://server", "databases": databases}))
    say_what_is_not_copied(NodeSection.model_validate({"server_url": "https://server", "databases": databases[2:]}))
    (warning,) = caplog.records
    assert (warning.levelname, warning.fields) == ("WARNING", {"databases": ["a", "b"]})  # type: ignore[attr-defined]
    assert "mounted read-only" in warning.message


def test_columns_of_a_csv_file():
    assert finding(CSV, b'[{"observed": "readable", "columns": ["age", "weight"]}]').columns == ("age", "weight")


@pytest.mark.parametrize(
    ("error", "remedy"), [("ENOENT", "correct the database's uri"), ("EACCES", "supplementalGroups")]
)
def test_a_trouble_comes_with_a_remedy(error: str, remedy: str):
    found = finding(CSV, json.dumps([{"observed": error}]).encode())
    assert found.trouble.startswith(f"{error}: ")
    assert remedy in found.trouble
    assert found.columns is None


@pytest.mark.parametrize(
    "answer", [b"", b"{}", b"[]", b"[1]", b'[{"columns": []}]', b'[{"observed": "x", "columns": 3}]']
)
def test_an_answer_of_another_kind_says_nothing(answer: bytes):
    with pytest.raises(NotRunnable):
        finding(CSV, answer)


class Jobs:
    """Answers as it is told, and counts what is left."""

    def __init__(self, answers: dict[str, bytes | Exception]) -> None:
        self.answers, self.cleaned = answers, 0
        self.held: dict[str, asyncio.Event] = {}

    async def start(self, run, method, asked):
        assert method == "databases"
        assert run.id < 0
        return asked[0]["label"]

    async def answer(self, name, run, patience):
        if name in self.held:
            await self.held[name].wait()
        if isinstance(found := self.answers[name], Exception):
            raise found
        return found

    async def clean_up(self, ids):
        self.cleaned += 1


async def test_one_that_can_not_be_mounted_does_not_hide_the_others(caplog: pytest.LogCaptureFixture):
    node = NodeSection.model_validate(
        {
            "server_url": "https://a.example",
            "databases": [
                {"label": "gone", "type": "csv", "uri": "/a"},
                {"label": "here", "type": "csv", "uri": "/b"},
                {"label": "served", "type": "sql"},
            ],
        }
    )
    jobs = Jobs({"gone": NotRunnable("it did not end"), "here": b'[{"observed": "readable", "columns": ["a"]}]'})
    found = await DatabaseCheck(node, jobs, 60).look()  # type: ignore[arg-type]
    assert [(each.label, each.trouble, each.columns) for each in found] == [
        ("gone", "it did not end", None),
        ("here", "", ("a",)),
    ]
    assert jobs.cleaned == 2
    assert "algorithms can't read a database" in caplog.text


async def test_columns_are_shared_as_soon_as_they_are_known():
    databases = [{"label": label, "type": "csv", "uri": "/a"} for label in ("slow", "quick")]
    node = NodeSection.model_validate({"server_url": "https://a.example", "databases": databases})
    shared: asyncio.Queue[dict[str, list[str]]] = asyncio.Queue()
    columns = b'[{"observed": "readable", "columns": ["a"]}]'
    jobs = Jobs({"slow": columns, "quick": columns})
    jobs.held["slow"] = asyncio.Event()

    async def opened() -> None:
        pass

    keeping = asyncio.create_task(DatabaseCheck(node, jobs, 60).keep(opened, shared.put))  # type: ignore[arg-type]
    assert await asyncio.wait_for(shared.get(), 5) == {"quick": ["a"]}
    jobs.held["slow"].set()
    assert await asyncio.wait_for(shared.get(), 5) == {"slow": ["a"], "quick": ["a"]}
    keeping.cancel()


async def test_a_look_that_can_not_be_taken_is_taken_again_soon_and_not_when_the_next_is_due(monkeypatch):
    node = NodeSection.model_validate(
        {"server_url": "https://server", "databases": [CSV.model_dump(mode="json", exclude_none=True)]}
    )
    jobs, shared, faults = Jobs({CSV.label: b'[{"observed": "readable", "columns": ["age"]}]'}), asyncio.Queue(), []
    monkeypatch.setattr(databasecheck, "_FIRST_RETRY", 0.01)

    async def start(run, method, asked):
        if len(faults) < 2:
            faults.append(OSError("no name server answers"))
            raise faults[-1]
        return asked[0]["label"]

    async def opened():
        pass

    monkeypatch.setattr(jobs, "start", start)
    keeping = asyncio.create_task(DatabaseCheck(node, jobs, 3600).keep(opened, shared.put))  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        assert await shared.get() == {CSV.label: ["age"]}
    keeping.cancel()
    assert len(faults) == 2


def test_the_algorithm_reads_a_header_and_names_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.csv").write_text('\ufeff"age",weight, "x,y"\n1,2,3\n')
    (tmp_path / "empty.csv").write_text("")
    paths = {"A": "a.csv", "B": "absent.csv", "C": ".", "D": "a.csv", "E": "empty.csv"}
    for label, path in paths.items():
        monkeypatch.setenv(f"{label}_DATABASE_URI", str(tmp_path / path))
    kinds = {"a": "csv", "b": "csv", "c": "folder", "d": "folder", "e": "csv"}
    with imported("diagnostics") as module:
        rows = module.databases([{"label": label, "type": kind} for label, kind in kinds.items()])
    assert [row["observed"] for row in rows] == ["readable", "ENOENT", "readable", "ENOTDIR", "readable"]
    assert rows[0]["columns"] == ["age", "weight", ' "x', 'y"']
    assert rows[4]["columns"] == []
