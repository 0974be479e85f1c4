"""Small stand-ins for programs on the PATH, which note how they were called."""

import os
from pathlib import Path

import pytest


class Programs:
    """A folder of shell scripts. Each notes its arguments in `calls` before it does what its script says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._calls = folder / "calls"
        folder.mkdir()

    def add(self, name: str, script: str = "") -> None:
        program = self.folder / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {self._calls}\n{script}\n')
        program.chmod(0o755)

    def put_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", f"{self.folder}{os.pathsep}{os.environ['PATH']}")

    def calls(self, *beginning: str) -> list[str]:
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        return [line for line in lines if line.startswith(" ".join(beginning))]
