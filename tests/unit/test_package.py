"""What `pip install` brings: every module, the chart that `up` installs, and the command."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "v6-node"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the wheel's files; it is built from a copy, since building leaves things behind."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in ("launcher", "proxy", "templates", "charts"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    (file,) = out.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        return set(archive.namelist())


def test_every_module_is_in_it(wheel: set[str]):
    modules = {
        path.relative_to(ROOT).as_posix() for name in ("launcher", "proxy") for path in (ROOT / name).rglob("*.py")
    }
    assert modules - wheel == set()


def test_the_chart_is_in_it_as_helm_would_pack_it(wheel: set[str]):
    wanted = {path.relative_to(CHART).as_posix() for path in (CHART / "templates").rglob("*") if path.is_file()}
    wanted |= {"Chart.yaml", "values.yaml", "values.schema.json"}
    found = {name.removeprefix("launcher/chart/") for name in wheel if name.startswith("launcher/chart/")}
    assert wanted - found == set()
    assert not [name for name in found if name.startswith(("tests/", "ci/"))]


def test_the_command_is_in_it(wheel: set[str]):
    assert any(name.endswith(".dist-info/entry_points.txt") for name in wheel)
