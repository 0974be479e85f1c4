"""The algorithm that behaves as told has to do so, or the cluster tests prove nothing."""

import base64
import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.algorithm_module import imported


@pytest.fixture
def behave() -> Iterator[ModuleType]:
    with imported("behave") as module:
        yield module


def test_crash_says_why_and_fails(behave: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match=r"^no luck$"):
        behave.crash("no luck")
    assert capsys.readouterr().out == "no luck\n"


def test_exit_code_ends_the_process(behave: ModuleType) -> None:
    with pytest.raises(SystemExit) as ended:
        behave.exit_code(42)
    assert ended.value.code == 42


def test_big_output_is_as_big_as_asked(behave: ModuleType) -> None:
    assert behave.big_output(bytes=1000) == {"data": "x" * 1000}


def test_until_ends_at_the_instant_and_says_how_late_it_was(behave: ModuleType) -> None:
    instant = time.time() + 0.2
    late = behave.until(instant)
    assert 0 <= late <= time.time() - instant
    assert behave.until(instant - 100) >= 100


def test_moments_come_one_after_the_other(behave: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "input").touch()
    os.utime(tmp_path / "input", (1000, 1000))
    monkeypatch.setenv("INPUT_FILE", str(tmp_path / "input"))
    told = behave.moments()
    assert list(told) == ["files", "started", "began", "ended"]
    assert told["files"] == 1000
    # Of a process that runs these tests: minutes ago, not years, and not in the future.
    assert time.time() - 3600 < told["started"] < told["began"] <= told["ended"] <= time.time()


def test_log_lines(behave: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert behave.log_lines(3) == {"lines": 3}
    assert capsys.readouterr().out == "line 0\nline 1\nline 2\n"


def test_flood_prints_as_much_as_asked(behave: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert behave.flood(1000, line=10) == 100
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{n:09d}" for n in range(100)]


def test_use_fails_as_the_file_does(behave: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    assert behave.use(str(tmp_path / "file")) == "content"
    with pytest.raises(IsADirectoryError):
        behave.use(str(tmp_path), "w")


def test_fill_and_memory_are_as_big_as_asked(behave: ModuleType, tmp_path: Path) -> None:
    assert behave.fill(str(tmp_path / "x"), 100, seconds=0) == (tmp_path / "x").stat().st_size
    assert behave.use_memory(100, seconds=0) == 100


def test_tell_prints_line_by_line(behave: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert behave.tell(2, 0) == 2
    assert capsys.readouterr().out == "telling 0\ntelling 1\n"


def test_tick_counts_every_execution(behave: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORARY_FOLDER", str(tmp_path))
    assert behave.tick("a") == {"executions": 1, "run": "a"}
    assert behave.tick("b") == {"executions": 1, "run": "b"}
    assert behave.tick("a", 0.01) == {"executions": 2, "run": "a"}
    first, second = map(float, (tmp_path / "a").read_text().split())
    assert 0 <= second - first < 60


def test_tick_that_fails_leaves_its_mark(behave: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORARY_FOLDER", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"^no luck$"):
        behave.tick("a", 0, "no luck")
    assert len((tmp_path / "a").read_text().split()) == 1


def test_tick_calls_home_until_it_is_answered(
    behave: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(200 if len(asked) > 1 else 502)
            self.end_headers()
            self.wfile.write(b'{"id": 5}')

        def log_message(self, *_: object) -> None:
            pass

    claims = base64.urlsafe_b64encode(b'{"sub": {"task_id": 5}}').decode().rstrip("=")
    (tmp_path / "token").write_text(f"head.{claims}.tail")
    with HTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        variables = {"HOST": "http://127.0.0.1", "PORT": str(proxy.server_port), "API_PATH": ""}
        for name, value in {**variables, "TOKEN_FILE": tmp_path / "token", "TEMPORARY_FOLDER": tmp_path}.items():
            monkeypatch.setenv(name, str(value))
        assert behave.tick("a", 0, calls=2) == {"executions": 1, "run": "a"}
        proxy.shutdown()
    assert asked == [("/task/5", f"Bearer head.{claims}.tail")] * 3


def test_hold_ends_when_it_is_told_to(behave: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORARY_FOLDER", str(tmp_path))
    (tmp_path / "a.end").touch()
    assert behave.hold("a") == {"executions": 1, "run": "a"}
    assert behave.hold("b", most=0) == {"executions": 1, "run": "b"}


def test_tick_stays_in_its_folder(behave: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORARY_FOLDER", str(tmp_path))
    with pytest.raises(ValueError, match=r"'\.\./x' is not a plain file name"):
        behave.tick("../x")


def test_reach_tells_open_from_shut(behave: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # a port of ours on which nobody listens
        targets = [
            {"host": "127.0.0.1", "port": listening.getsockname()[1]},
            {"host": "127.0.0.1", "port": bound.getsockname()[1], "timeout": 1},
            {"host": "255.255.255.255", "port": 80, "timeout": 1},
        ]
        answers = behave.reach(targets)
    assert [answer["outcome"] for answer in answers[:2]] == ["connected", "refused"]
    assert answers[2]["outcome"] in {"ENETUNREACH", "EACCES", "EINVAL"}
    assert [{key: answer[key] for key in target} for target, answer in zip(targets, answers, strict=True)] == targets


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (TimeoutError(), "timed out"),
        (socket.gaierror(-2, "Name or service not known"), "unresolved"),
        (OSError(113, "No route to host"), "EHOSTUNREACH"),
    ],
)
def test_reach_names_what_went_wrong(
    behave: ModuleType, monkeypatch: pytest.MonkeyPatch, error: OSError, outcome: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "create_connection", fail)
    assert behave.reach([{"host": "x", "port": 1}]) == [{"host": "x", "port": 1, "outcome": outcome}]


def test_reach_of_nothing(behave: ModuleType) -> None:
    assert behave.reach([]) == []


def test_environment_gives_names_only(behave: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "hidden")
    names = behave.environment()
    assert "SOME_SECRET" in names
    assert "hidden" not in str(names)


def test_the_kernel_is_told_with_what_it_says_of_this_process(behave: ModuleType) -> None:
    told = behave.kernel()
    assert (told["release"], told["user"]) == (os.uname().release, os.getuid())
    assert told["capabilities"] > 0 or os.getuid()
    assert {told["no new privileges"], told["system calls filtered"]} <= {True, False}


def test_work_of_both_kinds_takes_time(behave: ModuleType) -> None:
    took = behave.speed(numbers=100, files=2, times=2)
    assert list(took) == ["computing", "small files"]
    assert all(0 < seconds < 5 for seconds in took.values())


def test_gpus_are_what_the_container_was_given(
    behave: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", "gpu1")
    (tmp_path / "gpu1").touch()
    (tmp_path / "version").write_text("nvidia.com/gpu\n")
    given = {
        "variables": {"NVIDIA_VISIBLE_DEVICES": "gpu1"},
        "nodes": {"gpu1": "written"},
        "driver": "nvidia.com/gpu\n",
    }
    assert behave.gpus(str(tmp_path), str(tmp_path / "version")) == given
    monkeypatch.delenv("NVIDIA_VISIBLE_DEVICES")
    assert behave.gpus(str(tmp_path / "none"), str(tmp_path / "none")) == {"variables": {}, "nodes": {}, "driver": ""}


def test_write_says_what_could_be_written(behave: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("kept ")
    answers = behave.write([str(tmp_path / "old"), str(tmp_path / "none" / "x"), str(tmp_path)])
    assert list(answers.values()) == ["written", "ENOENT", "EISDIR"]
    assert (tmp_path / "old").read_text().startswith("kept behave")


def test_files_describes_without_following_links(behave: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o750)
    (tmp_path / "folder" / "file").write_text("12345")
    (tmp_path / "folder" / "file").chmod(0o640)
    (tmp_path / "link").symlink_to("/etc")
    found = {Path(entry["path"]).name: entry for entry in behave.files(str(tmp_path))}
    assert {name: entry["type"] for name, entry in found.items()} == {
        "folder": "folder",
        "file": "file",
        "link": "link",
    }
    assert (found["file"]["mode"], found["file"]["bytes"], found["file"]["uid"]) == ("0640", 5, os.getuid())
