"""What the doctor's pods do, done here: on loopback, with a stand-in for the server, and as `python -c` has it."""

import inspect
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from launcher.doctor import inside

KEY = "11111111-2222-4333-8444-555555555555"


class Server(BaseHTTPRequestHandler):
    """A vantage6 server of which only two routes are there."""

    def do_GET(self) -> None:
        self._answer(200, {"version": "4.15.2"}) if self.path == "/api/version" else self._answer(404, {"msg": "gone"})

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        good = sent["api_key"] == KEY
        self._answer(
            200 if good else 401, {"access_token": "secret"} if good else {"msg": "Api key is not recognized!"}
        )

    def _answer(self, status: int, tree: Any) -> None:
        body = json.dumps(tree).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as there:
        threading.Thread(target=there.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{there.server_port}/api"
        there.shutdown()


def free_port() -> int:
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        return int(there.getsockname()[1])


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside, "_STEP", 0.05)


def test_connections_and_what_comes_of_them():
    port = free_port()
    assert inside.connect("127.0.0.1", port) == "refused"
    assert inside.connect("no-such-host.invalid", port) == "unresolved"
    with socket.create_server(("127.0.0.1", port)):
        assert inside.connect("127.0.0.1", port) == "connected"


def test_what_is_to_be_open_is_tried_until_it_is():
    port = free_port()
    later = threading.Timer(0.3, inside.listen, (port, 5))
    later.start()
    found = inside.connect_until("127.0.0.1", port, "open", 5)
    assert (found["first"], found["last"]) == ("refused", "connected") and found["seconds"] < 3
    assert inside.connect_until("127.0.0.1", port, "open", 5)["seconds"] < 1


def test_what_is_to_be_shut_is_tried_until_it_is_or_time_is_up():
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        open_still = inside.connect_until("127.0.0.1", port, "shut", 0.3)
        assert (open_still["first"], open_still["last"]) == ("connected", "connected")
        threading.Timer(0.2, there.close).start()
        shut_later = inside.connect_until("127.0.0.1", port, "shut", 5)
    assert (shut_later["first"], shut_later["last"]) == ("connected", "refused")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_listener_takes_both_families(host: str):
    if host == "::1" and not socket.has_dualstack_ipv6():
        host = "127.0.0.1"
    port = free_port()
    threading.Thread(target=inside.listen, args=(port, 5), daemon=True).start()
    assert inside.connect_until(host, port, "open", 5)["last"] == "connected"


def test_names():
    assert "127.0.0.1" in inside.look_up("localhost")["addresses"]
    assert inside.look_up("no-such-host.invalid")["error"]


def test_a_server_and_a_key_that_it_takes(server: str):
    answer = inside.ask(server, KEY)
    assert (answer["status"], answer["version"]) == (200, "4.15.2")
    assert answer["login"]["status"] == 200
    assert abs(answer["ahead"]) < 5
    assert "secret" not in json.dumps(answer)


def test_a_key_that_it_does_not_take_and_none(server: str):
    assert inside.ask(server, "other")["login"] == {"status": 401, "message": "Api key is not recognized!"}
    assert "login" not in inside.ask(server)


def test_what_is_no_vantage6_server(server: str):
    assert inside.ask(server + "/nothing", KEY)["status"] == 404
    gone = inside.ask(f"http://127.0.0.1:{free_port()}/api")
    assert gone["kind"] == "ConnectionRefusedError"
    assert inside.ask(server, authority="no certificate")["error"]


def test_an_http_proxy_of_the_environment_is_asked(server: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "")
    assert inside.ask(server)["kind"] == "ConnectionRefusedError"
    # the API server is none of its business
    assert abs(inside.clock(server + "/version")["ahead"]) < 5


def test_files(tmp_path: Path):
    assert inside.write(str(tmp_path)) == "written"
    assert list(tmp_path.iterdir()) == []
    assert inside.write(str(tmp_path / "gone")) == "No such file or directory"


def test_the_whole_as_a_pod_runs_it(server: str, tmp_path: Path):
    (tmp_path / "key").write_text(KEY)
    order = {
        "connect": {"open 127.0.0.1": ("127.0.0.1", free_port(), "shut")},
        "look_up": ["localhost"],
        "clock": server + "/version",
        "server": server,
        "key": str(tmp_path / "key"),
        "write": str(tmp_path),
    }
    answer = tmp_path / "answer"
    environment = {"PATH": os.environ["PATH"], "DOCTOR": json.dumps(order), "DOCTOR_ANSWER": str(answer)}
    done = subprocess.run(
        # isolated: nothing but the standard library
        [sys.executable, "-I", "-S", "-c", inspect.getsource(inside)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(answer.read_text())
    assert told == json.loads(done.stdout)
    assert told["connect"]["open 127.0.0.1"]["last"] == "refused"
    assert told["server"]["login"]["status"] == 200 and told["write"] == "written"
    assert told["look_up"]["localhost"]["addresses"] and "ahead" in told["clock"]


def test_an_answer_has_room_in_the_pods_status():
    """Even with every address and message as long as they may be, what is told is not cut off in the middle."""
    longest = {"first": "timed out", "last": "unreachable", "seconds": 1234.5}
    addresses = ["2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"] * 8
    answer = {
        "connect": {f"closed {each}": longest for each in ("1" * 15, "2" * 39, "3" * 15, "4" * 39)},
        "look_up": {"x" * 63: {"addresses": addresses}, "y" * 63: {"addresses": addresses}},
        "server": {
            "status": 200,
            "message": "m" * 300,
            "login": {"status": 401, "message": "m" * 300},
            "error": "e" * 300,
        },
        "clock": {"error": "e" * 200},
    }
    assert len(json.dumps(answer)) < inside.LONGEST
