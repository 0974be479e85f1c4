"""ct, helm-unittest and helm-docs, built from the versions that `go.mod` pins as tools."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAMS = ("ct", "helm-docs", "helm-unittest")


class GoError(Exception):
    """The Go tools could not be built; one sentence."""


def install(sources: Path, target: Path) -> None:
    """Build the tools of the module in `sources` and put them into the folder `target`.

    Raises:
        GoError: Go is missing or the build fails.
    """
    go = shutil.which("go")
    if go is None:
        raise GoError(
            "ct, helm-unittest and helm-docs are built with Go, which is not on the PATH: install Go 1.26 or later (https://go.dev/dl)."
        )
    print("tools: building ct, helm-unittest and helm-docs (one to three minutes, once)", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        # Niced: nothing waits for these tools that could not go on without them, and other builds may be running.
        command = ["nice", "-n", "5", go, "install", "-trimpath", "-ldflags=-s -w", "tool"]
        done = subprocess.run(
            command, cwd=sources, env={**os.environ, "GOBIN": scratch}, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            print(done.stderr, file=sys.stderr)
            raise GoError(
                f"`go install tool` in {sources} failed (exit status {done.returncode}): see Go's own messages above."
            )
        for name in PROGRAMS:
            (Path(scratch) / name).replace(target / name)
