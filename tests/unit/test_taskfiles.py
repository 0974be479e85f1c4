"""The task volume, with everything that hostile code may leave on it."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from launcher.runs import Run
from launcher.session import Identity
from launcher.taskfiles import TaskFiles
from launcher.untrusted import OutputError

LIMIT = 1000
IDENTITY = Identity("https://server/api", 3, "node", 1, 2)
RUN = Run(
    id=7,
    task_id=5,
    job_id=4,
    parent_id=None,
    image="image",
    task_name="",
    organization_id=1,
    collaboration_id=2,
    init_organization_id=1,
    init_user_id=1,
    databases=(),
    assigned_at="2026-01-01T00:00:00",
)


@pytest.fixture
def files(tmp_path):
    return TaskFiles(tmp_path, IDENTITY)


@pytest.fixture
def data(files) -> Path:
    files.prepare(RUN, b"{}", "token")
    return files.directory(RUN) / "data"


def test_an_algorithm_finds_input_token_and_an_empty_output(data):
    assert {path.name: path.read_bytes() for path in data.iterdir()} == {
        "input": b"{}",
        "token": b"token",
        "output": b"",
    }


def test_what_the_algorithm_writes_is_read(files, data):
    (data / "output").write_bytes(b"result")
    assert files.read_output(RUN, LIMIT) == b"result"


def test_output_may_be_replaced_by_another_regular_file(files, data):
    (data / "new").write_bytes(b"result")
    (data / "new").rename(data / "output")
    assert files.read_output(RUN, LIMIT) == b"result"


def symlink(output, tmp_path):
    (tmp_path / "secret").write_text("secret")
    output.symlink_to(tmp_path / "secret")


def hard_link(output, tmp_path):
    (tmp_path / "secret").write_text("secret")
    output.hardlink_to(tmp_path / "secret")


def sparse(output, tmp_path):
    with output.open("wb") as file:
        file.truncate(2**40)


HOSTILE = {
    "symlink": symlink,
    "hard link": hard_link,
    "fifo": lambda output, tmp_path: os.mkfifo(output),
    "directory": lambda output, tmp_path: output.mkdir(),
    "sparse 1 TiB": sparse,
    "too long": lambda output, tmp_path: output.write_bytes(b"x" * (LIMIT + 1)),
    "missing": lambda output, tmp_path: None,
}


@pytest.mark.parametrize("trick", HOSTILE)
def test_hostile_output_is_refused_at_once(files, data, tmp_path, trick):
    (data / "output").unlink()
    HOSTILE[trick](data / "output", tmp_path)
    begin = time.monotonic()
    with pytest.raises(OutputError):
        files.read_output(RUN, LIMIT)
    assert time.monotonic() - begin < 2


def test_a_launched_run_is_remembered_by_another_launcher(files, data, tmp_path):
    assert not files.launched(RUN)
    files.note_launched(RUN, "uid")
    assert TaskFiles(tmp_path, IDENTITY).launched(RUN)


def test_leftovers_are_this_nodes_runs_only(files, data, tmp_path):
    other = TaskFiles(tmp_path, replace(IDENTITY, server="https://other/api"))
    other.prepare(replace(RUN, id=8), b"", "")
    assert files.leftovers() == [7]
    assert other.leftovers() == [8]
    other.remove(7)
    assert files.exist(7)


def test_the_same_number_at_another_time_has_its_own_directory(files, data):
    again = replace(RUN, assigned_at="2027-01-01T00:00:00")
    assert files.directory(again) != files.directory(RUN)
    assert not files.launched(again)


def test_a_record_that_is_no_json_is_nobodys(files, data):
    (files.directory(RUN) / "run.json").write_text("{")
    assert files.leftovers() == []


def test_remove_leaves_nothing_and_follows_no_link(files, data, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("kept")
    (data / "link").symlink_to(kept)
    locked = data / "locked"
    locked.mkdir()
    (locked / "file").write_text("x")
    locked.chmod(0)
    files.remove(RUN.id)
    assert not files.exist(RUN.id)
    assert not files.directory(RUN).exists()
    assert (kept / "file").read_text() == "kept"


def test_preparing_again_replaces_a_link_instead_of_writing_through_it(files, data, tmp_path):
    (tmp_path / "victim").write_text("victim")
    (data / "input").unlink()
    (data / "input").symlink_to(tmp_path / "victim")
    files.prepare(RUN, b"input", "token")
    assert (data / "input").read_bytes() == b"input"
    assert (tmp_path / "victim").read_text() == "victim"


def test_the_record_says_whose_the_directory_is(files, data):
    record = json.loads((files.directory(RUN) / "run.json").read_text())
    assert (record["server"], record["node_id"], record["run_id"]) == ("https://server/api", 3, 7)
