"""A Python 3.10 environment with vantage6-server in it, made once and kept in the cache.

The server runs on the Python of its own image, 3.10: since 3.11 f-strings print `str`-mixin enums differently, and
every permission check of server 4.x answers 500.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ci.tools import cache_folder
from tests.stage import StageError

NEWEST, OLDEST, MIDDLE = "4.15.2", "4.0.0", "4.5.5"
"""The versions of the server that can be started; each has a lock file here."""
PYTHON = "3.10"


def server_python(version: str = NEWEST) -> Path:
    """Return the interpreter of a server's environment, installing it first if need be (a minute, once).

    Raises:
        StageError: there is no Python 3.10, or the packages can't be installed.
    """
    lock = Path(__file__).with_name(f"server-{version}.lock")
    root = cache_folder() / f"server-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    ready = root / "complete"
    if not ready.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        with root.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not ready.exists():
                _install(root, lock)
                ready.touch()
    return root / "bin" / "python"


def _install(root: Path, lock: Path) -> None:
    # What is there without the mark of completeness was interrupted.
    shutil.rmtree(root, ignore_errors=True)
    base = find_python()
    print(f"server: installing what {lock.name} lists for {base} (once)", file=sys.stderr, flush=True)
    _uv("venv", "--quiet", "--python", str(base), str(root))
    _uv("pip", "install", "--quiet", "--python", str(root / "bin/python"), "--require-hashes", "-r", str(lock))


def find_python() -> Path:
    """Find a Python 3.10 on the PATH, among pyenv's versions, or let uv install one.

    Raises:
        StageError: there is none, and uv can't get one.
    """
    for candidate in _candidates():
        # A pyenv shim is on the PATH also when no such version is selected, so only running it tells.
        probe = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if probe.returncode == 0 and probe.stdout.strip() == PYTHON:
            return candidate
    try:
        _uv("python", "install", "--quiet", PYTHON)
        return Path(_uv("python", "find", PYTHON).strip())
    except StageError as error:
        raise StageError(
            f"vantage6-server 4 needs Python {PYTHON}, and neither the PATH, pyenv nor uv has one: "
            f"install python{PYTHON} (for example `pyenv install {PYTHON}`)."
        ) from error


def _candidates() -> Iterator[Path]:
    if found := shutil.which(f"python{PYTHON}"):
        yield Path(found)
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from sorted(versions.glob(f"{PYTHON}.*/bin/python{PYTHON}"), reverse=True)


def _uv(*arguments: str) -> str:
    """Run the uv of this environment and return what it printed."""
    uv = Path(sys.executable).with_name("uv")
    done = subprocess.run([uv, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StageError(f"`uv {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout
