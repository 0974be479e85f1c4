"""Process 1 of the node: sets the node up, starts its daemons, and ends when one of them ends.

Runs in a process, mount and network namespace of its own, by itself (standard library only, as
``python -I supervisor.py ROOT SLOT FINGERPRINT``). The kernel takes everything down with process 1: every daemon,
every pod, every mount, the network namespaces and their wires. So a cluster is either whole or gone, and what its
arguments say is all that there is to know of a running one.
"""

import json
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_PAUSE = 0.02
_OPEN_FILES = 1 << 20


class Supervisor:
    """Starts daemons one after another, each when what it needs is there."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.daemons: dict[int, tuple[str, subprocess.Popen[bytes]]] = {}
        """By process. An object that is thrown away would collect its process's end before `reap` sees it."""

    def run(self, node: dict[str, Any]) -> None:
        """Set up and serve; returns never, ends the process when a daemon has ended."""
        for command in node["mounts"]:
            self.command(command)
        self.state = Path(node["inside"])
        self.wait_for({"link": node["link"]})
        for command in node["network"]:
            self.command(command)
        for daemon in node["daemons"]:
            for need in daemon["needs"]:
                self.wait_for(need)
            self.start(daemon)
        while True:
            self.reap()

    def command(self, command: list[str]) -> None:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            self.fail(f"{' '.join(command)}: {result.stderr.strip()}")

    def start(self, daemon: dict[str, Any]) -> None:
        argv = [sys.executable if word == "@python" else word for word in daemon["argv"]]
        with (self.state / "log" / f"{daemon['name']}.log").open("ab") as log:
            process = subprocess.Popen(
                argv,
                cwd=self.state,
                env={"PATH": f"{self.state}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **daemon["env"]},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.daemons[process.pid] = (daemon["name"], process)

    def wait_for(self, need: dict[str, Any]) -> None:
        while not _there(need):
            self.reap(os.WNOHANG)
            time.sleep(_PAUSE)

    def reap(self, options: int = 0) -> None:
        """Collect a process that ended (orphans too, as process 1 has to); a daemon's end is the node's end."""
        try:
            pid, status = os.waitpid(-1, options)
        except ChildProcessError:
            return
        if pid in self.daemons:
            self.fail(f"{self.daemons[pid][0]} ended with status {os.waitstatus_to_exitcode(status)}")

    def fail(self, reason: str) -> None:
        (self.state / "failed").write_text(reason)
        sys.exit(1)


def _there(need: dict[str, Any]) -> bool:
    try:
        if "link" in need:
            socket.if_nametoindex(need["link"])
        elif "tcp" in need:
            socket.create_connection(tuple(need["tcp"]), timeout=1).close()
        else:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(need["unix"])
    except OSError:
        return False
    return True


def main() -> None:
    state = Path(sys.argv[1]) / "state"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = min(hard, _OPEN_FILES) if hard != resource.RLIM_INFINITY else _OPEN_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    Supervisor(state).run(json.loads((state / "node.json").read_text()))


if __name__ == "__main__":
    main()
