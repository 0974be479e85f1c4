"""Configuration files of vantage6 nodes, each with what has to come out of it in `expected`."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from launcher.translate import command
from launcher.translate.findings import Site
from tests.unit.keys import key_file

FOLDER = Path(__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
NODE = "worker-1"
"""The machine that has the databases' files, where the case gives it."""


def expected(name: str) -> dict[str, Any]:
    """What has to come out of a configuration.

    `options` are given to the command, `code` is its exit code, `secrets` the texts by Secret and key, `report` its
    findings: the key, and what was done.
    """
    return dict(yaml.safe_load((FOLDER / "expected" / f"{name}.yaml").read_text()))


def translated(name: str, folder: Path) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Translate a configuration, the keys that it names beside it: exit code, values, Secrets by name."""
    (folder / "keys").mkdir()
    key_file(folder / "keys", "organization")
    key_file(folder / "keys", "tunnel").rename(folder / "keys" / "tunnel")
    file = Path(shutil.copy(FOLDER / f"{name}.yaml", folder))
    options = expected(name).get("options", [])
    secrets = folder / "secrets.out" if "secrets" in options else None
    site = Site(NODE if "node-name" in options else None, "north", secrets is not None)
    code = command.run(file, folder / "values.out", secrets, site)
    values = yaml.safe_load((folder / "values.out").read_text())
    manifests = yaml.safe_load_all(secrets.read_text()) if secrets and secrets.exists() else []
    return code, values, {one["metadata"]["name"]: one for one in manifests}
