"""The commands, called as from a shell, and a cluster that they can be called against."""

import json
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner, Result

from launcher.__main__ import app
from tests.unit.apiserver import Program, Threaded
from tests.unit.node_objects import CONFIG, LAUNCHER, ONLINE, PROXY, STATEFULSET, told
from tests.unit.test_admin_plan import GOOD

CORE = "/api/v1/namespaces/v6-node"
OTHER_KEY = "99999999-2222-4333-8444-555555555555"


class Cluster(Threaded):
    """A cluster whose launcher answers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.told: Any = ONLINE
        self.kept: dict[str, bytes] = {}
        self.program = self._launcher

    def _launcher(self, command: list[str]) -> tuple[bytes, str]:
        if command[3] == "status":
            return json.dumps(self.told).encode(), ""
        kept = self.kept.get(command[5])
        return (kept or b"", "" if kept else "exit")

    def install(self, launcher: Any = LAUNCHER) -> None:
        """What helm would bring."""
        self.put("/apis/apps/v1/namespaces/v6-node/statefulsets", STATEFULSET)
        self.put(f"{CORE}/pods", launcher, PROXY)
        self.put(f"{CORE}/configmaps", CONFIG)


def run(*arguments: Any, stdin: str = "") -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], input=stdin, env={"COLUMNS": "200"})


def configuration(folder: Path, **more: Any) -> Path:
    file = folder / "node.yaml"
    file.write_text(yaml.safe_dump(GOOD | more))
    return file


def helm_calls(folder: Path) -> list[str]:
    return (folder / "bin" / "calls").read_text().splitlines()


def trying(refusal: str, before: str = "An earlier key is refused.") -> Program:
    """A launcher that tries a changed key after a while; it had tried another before."""
    asked: list[int] = []

    def launcher(_: list[str]) -> tuple[bytes, str]:
        asked.append(1)
        tried = len(asked) > 2
        at = ONLINE["connection"]["key_tried"] + (60 if tried else 0)
        now = told(connection={"key_tried": at, "key_refused": refusal if tried else before})
        return json.dumps(now).encode(), ""

    return launcher
