"""What an algorithm can see and reach from where it runs."""

import errno
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
