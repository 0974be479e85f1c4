"""kubectl as a function: the one that was built with the cluster."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ci.cluster import build
from ci.cluster.errors import ClusterError


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl with one kubeconfig."""

    kubeconfig: Path

    def __call__(self, *arguments: str, text: str | None = None) -> str:
        """What kubectl prints, given ``text`` on its standard input.

        Raises:
            ClusterError: with what it said, when it fails.
        """
        result = self._run(*arguments, text=text)
        if result.returncode != 0:
            raise ClusterError(f"kubectl {' '.join(arguments[:4])} failed: {result.stderr.strip()}")
        return result.stdout

    def succeeds(self, *arguments: str) -> bool:
        return self._run(*arguments).returncode == 0

    def nodes_ready(self, number: int) -> bool:
        """Whether so many nodes are."""
        result = self._run("get", "nodes", "-o", "json")
        nodes = json.loads(result.stdout)["items"] if result.returncode == 0 else []
        conditions = [condition for node in nodes for condition in node["status"].get("conditions", [])]
        return [c["status"] for c in conditions if c["type"] == "Ready"] == ["True"] * number

    def available(self, namespace: str, deployment: str) -> bool:
        """Whether all replicas of the deployment are ready."""
        result = self._run("-n", namespace, "get", "deployment", deployment, "-o", "json")
        status = json.loads(result.stdout).get("status", {}) if result.returncode == 0 else {}
        return bool(status.get("availableReplicas")) and not status.get("unavailableReplicas")

    def _run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(build.folder("kubernetes") / "hyperkube"), "kubectl", "--request-timeout=20s", *arguments],
            env={"KUBECONFIG": str(self.kubeconfig), "HOME": "/nonexistent", "PATH": "/usr/bin:/bin"},
            input=text or "",
            capture_output=True,
            text=True,
            check=False,
        )
