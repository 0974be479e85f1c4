"""Process 1 of the node and the stand-in internet, each run for real but without its namespaces."""

import json
import socket
import struct
import subprocess
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from ci.cluster import internet, processes, supervisor

STEADY = ["sleep", "5"]


def daemon(name: str, argv: list[str], *needs: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "argv": argv, "needs": list(needs), "env": {"WHO": name}}


def run(root: Path, daemons: list[dict[str, Any]], mounts: list[list[str]] | None = None) -> subprocess.Popen[bytes]:
    """Start a supervisor whose node has no network of its own and whose state is ``root``/state."""
    state = root / "state"
    (state / "log").mkdir(parents=True)
    node = {"inside": str(state), "mounts": mounts or [], "network": [], "daemons": daemons, "link": "lo"}
    (state / "node.json").write_text(json.dumps(node))
    return subprocess.Popen([sys.executable, "-I", supervisor.__file__, str(root), "0", "abc"])


def test_the_node_ends_when_a_daemon_ends_and_says_which(tmp_path: Path) -> None:
    with run(tmp_path, [daemon("steady", STEADY), daemon("weak", ["sh", "-c", "echo $WHO; exit 3"])]) as node:
        assert node.wait(10) == 1
    assert (tmp_path / "state/failed").read_text() == "weak ended with status 3"
    assert (tmp_path / "state/log/weak.log").read_text() == "weak\n"


def test_a_daemon_starts_when_what_it_needs_is_there(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        need = {"tcp": list(listener.getsockname())}
        with run(tmp_path, [daemon("late", ["false"], need)]) as node:
            time.sleep(0.5)
            assert node.poll() is None, "it started before anybody listened"
            listener.listen()
            assert node.wait(10) == 1


def test_what_cannot_be_set_up_is_said(tmp_path: Path) -> None:
    with run(tmp_path, [], mounts=[["sh", "-c", "echo no such device >&2; exit 1"]]) as node:
        assert node.wait(10) == 1
    assert "no such device" in (tmp_path / "state/failed").read_text()


def test_a_program_that_is_not_process_1_of_a_namespace_is_no_cluster(tmp_path: Path) -> None:
    with run(tmp_path, [daemon("steady", STEADY)]) as node:
        assert node.pid not in [found.pid for found in processes.running()]
        node.kill()


def question(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", 0xBEEF, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)


@pytest.mark.parametrize(
    ("name", "kind", "code", "answers"),
    [("internet.test", 1, 0, 1), ("INTERNET.test", 1, 0, 1), ("internet.test", 28, 0, 0), ("elsewhere.test", 1, 3, 0)],
)
def test_the_internets_dns_knows_one_name(name: str, kind: int, code: int, answers: int) -> None:
    reply = internet.answer(question(name, kind), IPv4Address("203.0.113.10"), "internet.test")
    identity, flags, questions, given, *_ = struct.unpack("!6H", reply[:12])
    assert (identity, flags & 15, questions, given) == (0xBEEF, code, 1, answers)
    assert reply.endswith(bytes([203, 0, 113, 10])) == bool(answers)
