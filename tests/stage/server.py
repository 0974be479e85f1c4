"""A real vantage6 server as a process of this machine, with its database, configuration and log in one folder."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests

from tests.stage import StageError
from tests.stage.server_python import NEWEST, server_python

BOOT = Path(__file__).with_name("boot_server.py")
API_PATH = "/api"
READY_SECONDS = 180.0
STOP_SECONDS = 10.0


@dataclass
class _State:
    """What a later process needs to find a server again."""

    address: str
    port: int
    root_password: str
    jwt_secret: str
    pid: int = 0


class Server:
    """One vantage6 server. `start` and `stop` may alternate: database, port and root password stay.

    Args:
        folder: where everything about this server is kept; a server that was in it before is continued.
        address: address of this machine to listen on (one that the cluster's pods reach).
        port: port to listen on; 0 picks a free one the first time.
        blobs: whether inputs and results are in a blob store, a folder (vantage6's own is a cloud's).
        metrics_port: where it shows what nodes tell of their load; 0: nowhere.
        release: which release of vantage6-server it is (tests/stage/server_python.py lists them).
    """

    def __init__(
        self,
        folder: Path,
        address: str = "127.0.0.1",
        port: int = 0,
        *,
        blobs: bool = False,
        release: str = NEWEST,
        metrics_port: int = 0,
    ) -> None:
        self._blobs = blobs
        self._metrics_port = metrics_port
        self._release = release
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._state_file = self.folder / "server.json"
        if self._state_file.exists():
            self._state = _State(**json.loads(self._state_file.read_text()))
            # The machine's address may differ from last time; the data do not care.
            self._state.address = address
        else:
            self._state = _State(address, port, secrets.token_urlsafe(12), secrets.token_hex(16))

    @property
    def url(self) -> str:
        """Scheme and address, without the port: what vantage6 calls `server_url`."""
        return f"http://{self._state.address}"

    @property
    def port(self) -> int:
        return self._state.port

    @property
    def api(self) -> str:
        """The base of its REST API."""
        return f"{self.url}:{self.port}{API_PATH}"

    @property
    def root_password(self) -> str:
        return self._state.root_password

    @property
    def log(self) -> Path:
        """What the server printed, over all its starts."""
        return self.folder / "server.log"

    @property
    def running(self) -> bool:
        return self._state.pid != 0 and _runs(self._state.pid, self.folder)

    def start(self, *, detached: bool = False) -> None:
        """Start it and wait until it answers; nothing happens when it runs already.

        Args:
            detached: leave it running when this process ends (the demo); by default it ends with this process.

        Raises:
            StageError: it ended or did not answer within three minutes; the message ends with its last words.
        """
        if self.running:
            return
        self._state.port = self._state.port or _free_port(self._state.address)
        python = server_python(self._release)
        configuration = self._write_configuration()
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
        environment |= {f"XDG_{kind}_HOME": str(self.folder) for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
        environment["STAGE_ROOT_PASSWORD"] = self._state.root_password
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [python, BOOT, configuration, *([] if detached else ["--leave-with-parent"])],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._state.pid = self._process.pid
        self._save()
        try:
            self._wait_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End its whole process group, with SIGKILL after ten seconds; nothing happens when it does not run."""
        if self.running:
            for signal_number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._state.pid, signal_number)
                if self._wait_gone():
                    break
        if self._process and self._process.stdin:
            self._process.stdin.close()
        self._process = None
        self._state.pid = 0
        self._save()

    def restart(self, *, new_jwt_secret: bool = False) -> None:
        """Stop and start on the same database and port; with a new secret every token given out before is void."""
        detached = self._process is None or self._process.stdin is None
        self.stop()
        if new_jwt_secret:
            self._state.jwt_secret = secrets.token_hex(16)
        self.start(detached=detached)

    def version(self) -> str:
        """Return the version that the server itself reports."""
        return str(requests.get(f"{self.api}/version", timeout=10).json()["version"])

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise StageError(f"The vantage6 server ended with code {process.returncode}: {self._last_words()}")
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{self.api}/health", timeout=5).ok:
                    return
            time.sleep(0.2)
        raise StageError(f"The vantage6 server did not answer in {READY_SECONDS:.0f} s: {self._last_words()}")

    def _wait_gone(self) -> bool:
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if self._process:
                self._process.poll()  # reaps it, or its pid would seem alive
            if not self.running:
                return True
            time.sleep(0.05)
        return False

    def _last_words(self) -> str:
        return "\n" + "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def _save(self) -> None:
        self._state_file.touch(mode=0o600)
        self._state_file.write_text(json.dumps(asdict(self._state)))

    def _write_configuration(self) -> Path:
        """Write what vantage6-server needs to start (keys: its ServerConfiguration, and what ServerApp reads)."""
        logging: dict[str, Any] = {"level": "INFO", "file": "vantage6.log", "use_console": True, "backup_count": 1}
        logging |= {"max_size": 4096, "format": "%(asctime)s %(levelname)s %(name)s %(message)s", "datefmt": "%H:%M:%S"}
        logging["loggers"] = [
            {"name": name, "level": "WARNING"} for name in ("urllib3", "socketIO-client", "sqlalchemy")
        ]
        configuration = {
            "description": "the server of tests and demo",
            "ip": self._state.address,
            "port": self._state.port,
            "api_path": API_PATH,
            "uri": f"sqlite:///{self.folder / 'server.sqlite'}",
            "allow_drop_all": False,
            "jwt_secret_key": self._state.jwt_secret,
            "server_url": f"{self.url}:{self.port}",
            "logging": logging,
        }
        if self._blobs:
            configuration["large_result_store"] = {"container_name": str(self.folder / "blobs")}
        if self._metrics_port:
            configuration |= {"prometheus": {"enabled": True}, "prometheus_port": self._metrics_port}
        path = self.folder / "configuration.yaml"
        path.touch(mode=0o600)
        path.write_text(json.dumps(configuration, indent=2))  # JSON is YAML
        return path


def _runs(pid: int, folder: Path) -> bool:
    """Tell whether this pid is (still) the server of this folder: numbers are used again."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        alive = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
    return alive and bytes(folder) in words


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
