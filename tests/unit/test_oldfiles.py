"""What no run needs any more goes when its time is over, and nothing else does."""

import os
import time
from dataclasses import replace

import pytest

from launcher.oldfiles import OldFiles
from launcher.session import Identity
from launcher.taskfiles import TaskFiles
from tests.unit.test_taskfiles import IDENTITY, RUN

HOUR = 3600.0
OTHER = Identity("https://other/api", 9, "other", 1, 2)


@pytest.fixture
def files(tmp_path):
    return TaskFiles(tmp_path, IDENTITY)


@pytest.fixture
def old(tmp_path, files):
    return OldFiles(tmp_path, files)


def test_tmp_of_a_job_goes_after_a_time_unless_in_use(files, old, tmp_path):
    files.prepare(RUN, b"{}", "token")
    tmp = tmp_path / files.tmp_sub_path(RUN)
    old.remove_tmp(3600, set())
    assert tmp.exists()
    os.utime(tmp, (0, 0))
    old.remove_tmp(3600, {files.tmp_sub_path(RUN)})
    assert tmp.exists()
    old.remove_tmp(3600, set())
    assert not tmp.exists()


def age(directory, seconds):
    then = time.time() - seconds
    for path in [*directory.rglob("*"), directory]:
        os.utime(path, (then, then), follow_symlinks=False)


@pytest.fixture
def stranger(tmp_path):
    files = TaskFiles(tmp_path, OTHER)
    files.prepare(RUN, b"{}", "token")
    return files.directory(RUN)


def test_old_files_of_another_node_go(old, stranger):
    age(stranger, 2 * HOUR)
    old.remove_strangers(3 * HOUR, set())
    assert stranger.exists()
    old.remove_strangers(HOUR, set())
    assert not stranger.exists()


@pytest.mark.parametrize("changed", ["run.json", "data/output", "data", "log/000000000000"])
def test_files_that_somebody_works_on_stay(old, stranger, changed):
    (stranger / "log").mkdir()
    (stranger / "log" / "000000000000").touch()
    age(stranger, 2 * HOUR)
    os.utime(stranger / changed)
    old.remove_strangers(HOUR, set())
    assert stranger.exists()


def test_files_of_a_run_that_has_a_job_stay(old, stranger):
    age(stranger, 2 * HOUR)
    old.remove_strangers(HOUR, [7])
    assert stranger.exists()


def test_old_files_of_our_own_runs_stay(files, old):
    files.prepare(replace(RUN, id=8), b"{}", "token")
    own = files.directory(replace(RUN, id=8))
    age(own, 2 * HOUR)
    old.remove_strangers(HOUR, set())
    assert own.exists()


def test_what_a_crash_left_without_a_record_goes(old, tmp_path):
    (tmp_path / "runs" / "7-0123abcd" / "data").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "runs").iterdir():
        age(path, 2 * HOUR)
    old.remove_strangers(HOUR, set())
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"link"}
    assert (tmp_path / "elsewhere").exists()
