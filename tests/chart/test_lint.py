"""The chart through the tools that chart authors know: ct lint with both helms, and helm-unittest."""

import os
import subprocess
import sys
from pathlib import Path

from ci.tools import bin_dir
from tests.chart.rendering import CASES, CHART, ROOT, UNCOLLECTED


def _with_helm(helm: str, folder: Path) -> dict[str, str]:
    """An environment whose `helm` is the given one; ct also wants yamllint and yamale, which lie beside this Python."""
    (folder / "helm").symlink_to(bin_dir() / helm)
    places = [folder, bin_dir(go_tools=True), Path(sys.executable).parent, os.environ["PATH"]]
    homes = {f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    return os.environ | homes | UNCOLLECTED | {"PATH": os.pathsep.join(map(str, places)), "KUBECONFIG": os.devnull}


def test_ct_lint(helm: str, tmp_path: Path):
    done = subprocess.run(
        ["ct", "lint", "--config", "ci/ct.yaml"],
        cwd=ROOT,
        env=_with_helm(helm, tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All charts linted successfully" in done.stdout
    for path in (path for path in CASES if path.parent.name == "ci"):
        assert f'"charts/v6-node/ci/{path.name}"' in done.stdout
    assert "[WARNING]" not in done.stdout


def test_helm_lints_the_example(helm: str, tmp_path: Path):
    command = ["helm", "lint", "--strict", str(CHART), "-f", str(ROOT / "values.example.yaml")]
    done = subprocess.run(command, env=_with_helm(helm, tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_helm_unittest():
    command = [str(bin_dir(go_tools=True) / "helm-unittest"), "--strict", "-f", "tests/**/*_test.yaml", str(CHART)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    suites = len(list(CHART.glob("tests/**/*_test.yaml")))
    assert suites > 0
    assert f"Test Suites: {suites} passed, {suites} total" in done.stdout
