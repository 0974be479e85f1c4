"""What an algorithm can see and reach from where it runs."""

import base64
import errno
import http.client
import json
import os
import socket
import stat
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any


def environment() -> list[str]:
    """Return the names of the environment variables, not their values: some are confidential."""
    return sorted(os.environ)


def gpus(devices: str = "/dev", driver: str = "/opt/driver/version") -> dict[str, Any]:
    """Return what this container was given with its GPUs: variables that name them, nodes, the driver's own words.

    Each node comes with what came of writing to it.
    """
    version = Path(driver)
    return {
        "variables": {name: text for name, text in os.environ.items() if name.endswith("_VISIBLE_DEVICES")},
        "nodes": {path.name: _write(str(path)) for path in Path(devices).glob("gpu*")},
        "driver": version.read_text() if version.exists() else "",
    }


def resolve(name: str) -> list[str]:
    """Return all addresses that this pod knows of a name."""
    return sorted({str(found[4][0]) for found in socket.getaddrinfo(name, None)})


def fetch(url: str) -> str:
    """Return what a web server answers, asked as the environment's variables for proxies say."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"


def call_home(patience: float = 120) -> int:
    """Ask the server, through the node's proxy, for this algorithm's own task, and return the task's number.

    What the proxy or the server can't do now is tried again for `patience` seconds: 5xx, and no connection.
    """
    token = Path(os.environ["TOKEN_FILE"]).read_text().strip()
    claims = token.split(".")[1]
    task = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"]["task_id"]
    base = f"{os.environ['HOST']}:{os.environ['PORT']}{os.environ['API_PATH']}"
    request = urllib.request.Request(f"{base}/task/{task}", headers={"Authorization": f"Bearer {token}"})
    until = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(json.load(answer)["id"])
        except (OSError, http.client.HTTPException) as error:
            passes = not isinstance(error, urllib.error.HTTPError) or error.code >= 500
            if not passes or time.monotonic() > until:
                raise
            print(f"trying again: {error}", flush=True)
            time.sleep(1)


def reach(targets: list[dict[str, Any]], after: float = 0) -> list[dict[str, Any]]:
    """Try TCP connections to all targets at once, `after` so many seconds, and say how each ended.

    A target is {"host", "port", "timeout" in seconds (default 3)}; it comes back with "outcome" added: `connected`,
    `timed out`, `refused`, `unresolved`, or the name of another error number such as `ENETUNREACH`.
    """
    if not targets:
        return []
    time.sleep(after)
    with ThreadPoolExecutor(max_workers=len(targets)) as pool:
        outcomes = list(pool.map(_connect, targets))
    for target, outcome in zip(targets, outcomes, strict=True):
        print(f"{target['host']}:{target['port']} {outcome}")
    return [{**target, "outcome": outcome} for target, outcome in zip(targets, outcomes, strict=True)]


def _connect(target: dict[str, Any]) -> str:
    try:
        with socket.create_connection((target["host"], target["port"]), timeout=target.get("timeout", 3)):
            return "connected"
    except TimeoutError:
        return "timed out"
    except ConnectionRefusedError:
        return "refused"
    except socket.gaierror:
        return "unresolved"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, repr(error))


def write(paths: list[str]) -> dict[str, str]:
    """Try to write into each of the files: `written`, or the name of the error number, such as `EROFS`."""
    return {path: _write(path) for path in paths}


def _write(path: str) -> str:
    try:
        with Path(path).open("ab") as file:
            file.write(b"behave was here")
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, repr(error))
    return "written"


def files(root: str = "/mnt") -> list[dict[str, Any]]:
    """List everything below `root` as {path, type, mode, uid, gid, bytes}, without following links."""
    return [_describe(path) for path in sorted(Path(root).rglob("*"))]


def _describe(path: Path) -> dict[str, Any]:
    status = path.lstat()
    return {
        "path": str(path),
        "type": {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}.get(
            stat.S_IFMT(status.st_mode), "other"
        ),
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "uid": status.st_uid,
        "gid": status.st_gid,
        "bytes": status.st_size,
    }
