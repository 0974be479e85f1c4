"""The dummy server as a process of this machine, and a node of it in the cluster."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ci.images import Image
from tests.poc.command_emitter import Emitter, Reply
from tests.stage import StageError
from tests.stage.node import INTERNET, ONLINE_SECONDS, Release, images_for
from tests.stage.waiting import wait_until

POC = Path(__file__).parent
ROOT = POC.parents[1]
EMPLOYEES = POC / "csv" / "employees.csv"
START_SECONDS = 30.0


class DummyServer:
    """The dummy server, with its configuration file, its log and the number of its process in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "server_config.yaml"
        self._log, self._pid = folder / "server.log", folder / "server.pid"

    def configure(self, address: str, port: int = 0) -> "DummyServer":
        """Write the configuration file; port 0 means one that is free."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(yaml.safe_dump({"server_ip": address, "port": port or _free_port(address)}))
        return self

    @property
    def address(self) -> tuple[str, int]:
        settings = yaml.safe_load(self.config.read_text())
        return settings["server_ip"], settings["port"]

    @property
    def url(self) -> str:
        host, port = self.address
        return f"http://{host}:{port}"

    def start(self) -> "DummyServer":
        """Start it, and wait until it answers; it goes on when this process ends."""
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "tests.poc.dummy_server", str(self.config)]
            process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._pid.write_text(str(process.pid))
        wait_until(self._answers, START_SECONDS, lambda: f"the dummy server said {self._log.read_text()[-2000:]}")
        return self

    def stop(self) -> None:
        """End it, where it runs."""
        if not self._pid.exists():
            return
        pid = int(self._pid.read_text())
        self._pid.unlink()
        if not _runs(pid, self.config):
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 10
        while _runs(pid, self.config) and time.monotonic() < deadline:
            time.sleep(0.05)
        if _runs(pid, self.config):
            os.kill(pid, signal.SIGKILL)

    def _answers(self) -> bool:
        try:
            socket.create_connection(self.address, timeout=1).close()
        except OSError:
            return False
        return True


class PocNode(Release):
    """A node of the dummy server."""

    def wait_online(self, server: DummyServer, seconds: float = ONLINE_SECONDS) -> "PocNode":
        """Wait until it replies to a command.

        Raises:
            StageError: it did not; the message ends with what its launcher said last.
        """

        def replies() -> bool:
            try:
                with Emitter(server.url) as emitter:
                    return bool(emitter.ask({"command": "list"}, 2)["ok"])
            except TimeoutError:
                return False

        wait_until(replies, seconds, lambda: f"the node does not reply; its launcher said:\n{self._last_words()}")
        return self

    def tree(self) -> list[str]:
        """Return what is on the task volume."""
        found = "sorted(str(path.relative_to('/tasks')) for path in pathlib.Path('/tasks').rglob('*'))"
        return list(json.loads(self._in_launcher(f"import json, pathlib; print(json.dumps({found}))")))

    def file(self, path: str) -> str:
        """Return the text of a file on the task volume."""
        return self._in_launcher(f"import pathlib; print(pathlib.Path('/tasks', {path!r}).read_text(), end='')")

    def _in_launcher(self, code: str) -> str:
        launcher = "statefulset/v6-node-launcher"
        return self.kubectl("exec", launcher, "--", "python", "-c", code, namespace=self.namespace)


def values_for(server: DummyServer, images: Mapping[str, Image], databases: list[dict[str, Any]]) -> dict[str, Any]:
    """The chart's values for a node of this server: those of values.yaml, with addresses and images filled in."""
    host, port = server.address
    values = yaml.safe_load((POC / "values.yaml").read_text())
    values["node"] |= {"server_url": f"http://{host}", "port": port, "databases": databases}
    values["node"]["algorithm_env"] = {"OUTSIDE": INTERNET[0]}
    # The images are in the cluster, and in no registry.
    values["node"]["policies"] = {"require_algorithm_pull": False}
    return values | images_for(images)


def output_of(reply: Reply, name: str = "avg.txt") -> str:
    """The text of an output file in a reply that tells how a run ended.

    Raises:
        StageError: there is none.
    """
    for file in reply.get("files", ()):
        if file["path"] == f"{reply['run_id']}/output/{name}":
            return str(file["text"])
    raise StageError(f"The reply has no {name}: {reply}")


def _runs(pid: int, config: Path) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        alive = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
    return alive and bytes(config) in command


def _free_port(address: str) -> int:
    with socket.create_server((address, 0)) as server:
        return int(server.getsockname()[1])
