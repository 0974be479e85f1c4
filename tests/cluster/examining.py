"""The doctor asked about a cluster, as an administrator asks it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.stage.kube import Kubectl

DOCTORS = "app.kubernetes.io/managed-by=v6-node-doctor"
KINDS = "jobs,pods,secrets,networkpolicies,persistentvolumeclaims,namespaces"
_ORDER = ("ok", "warn", "fail")


class Findings:
    """What the doctor found."""

    def __init__(self, code: int, findings: list[dict[str, Any]]) -> None:
        self.code = code
        self.findings = findings

    def level(self, check: str) -> str:
        """The worst that is said of something."""
        return max((each["level"] for each in self.findings if each["check"] == check), key=_ORDER.index)

    @property
    def failing(self) -> dict[str, str]:
        """What fails, and how that is mended."""
        return {each["check"]: each["remedy"] for each in self.findings if each["level"] == "fail"}


def examine(kubeconfig: Path, values: dict[str, Any], folder: Path, namespace: str) -> Findings:
    """Run the doctor; its report is in the test's if that fails."""
    file = folder / "examined.yaml"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(values))
    done = subprocess.run(
        [sys.executable, "-m", "launcher", "doctor", "--json", "-f", str(file), "-n", namespace],
        capture_output=True,
        text=True,
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        timeout=600,
        check=False,
    )
    print(done.stdout, done.stderr)
    return Findings(done.returncode, json.loads(done.stdout))


def left_by_doctors(kubectl: Kubectl) -> list[str]:
    """What is there of doctors."""
    there = json.loads(kubectl("get", KINDS, "-A", "-l", DOCTORS, "-o", "json"))
    return [each["metadata"]["name"] for each in there["items"]]
