"""Kubernetes as tests and the demo need it: kubectl with a kubeconfig, and a namespace of one's own."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ci.tools import bin_dir
from tests.stage import StageError

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
STAGE_LABEL = "v6-node.vantage6.ai/stage"


class Kubectl:
    """kubectl and helm (4) against one cluster.

    Args:
        kubeconfig: file that says which.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self._bin = bin_dir()

    def __call__(self, *arguments: str, namespace: str = "", stdin: str | None = None, seconds: float = 120) -> str:
        """Run kubectl and return what it printed.

        Raises:
            StageError: it failed or took longer than `seconds`; the message holds what it said.
        """
        where = ["--namespace", namespace] if namespace else []
        return self._run([str(self._bin / "kubectl"), *where, *arguments], stdin, seconds)

    def helm(self, *arguments: str, namespace: str, seconds: float = 300, aside: bool = False) -> str:
        """Run helm and return what it printed, with `aside` also what it said beside; raises as kubectl does."""
        return self._run([str(self._bin / "helm"), "--namespace", namespace, *arguments], None, seconds, aside=aside)

    def get(self, kind: str, name: str = "", *, namespace: str = "", selector: str = "") -> Any:
        """Return an object, or without a name the list of objects, as JSON; no name and none there is an empty list."""
        chosen = [*([name] if name else []), *(["--selector", selector] if selector else [])]
        answer = json.loads(self("get", kind, *chosen, "--output", "json", namespace=namespace))
        return answer if name else answer["items"]

    @property
    def programs(self) -> Path:
        """The folder that kubectl and helm are in."""
        return self._bin

    def ask(self, *arguments: str, namespace: str) -> str:
        """Run kubectl where failing is an answer too; return what it said, stripped."""
        done = self._execute([str(self._bin / "kubectl"), "--namespace", namespace, *arguments], None, 60)
        return done.stdout.strip()

    def api_server(self) -> tuple[str, int]:
        """Return host and port of the API server, as the kubeconfig has them."""
        path = "jsonpath={.clusters[0].cluster.server}"
        url = urlsplit(self("config", "view", "--minify", "--output", path))
        return str(url.hostname), url.port or 443

    def apply(self, *objects: dict[str, Any], namespace: str = "") -> None:
        """Create or change objects."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self("apply", "--filename", "-", namespace=namespace, stdin=text)

    def create_namespace(self, name: str, owner: str) -> None:
        """Make a namespace that enforces the Pod Security Standard "restricted", labelled with whose it is."""
        labels = {**RESTRICTED, STAGE_LABEL: owner}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})

    def story(self, namespace: str) -> str:
        """Return what happened in a namespace, for a report: pods, events, and the logs of all containers."""
        parts: list[tuple[str, tuple[str, ...]]] = [("pods", ("get", "jobs,pods,pvc", "--output", "wide"))]
        parts.append(("events", ("get", "events", "--sort-by", ".lastTimestamp")))
        names = self._tell("get", "pods", "--output", "name", namespace=namespace).split()
        for name in (name for name in names if name.startswith("pod/")):
            parts.append((f"log of {name}", ("logs", name, "--all-containers", "--tail", "300")))
            if self._restarted(name, namespace):
                parts.append((f"log of {name} before", ("logs", name, "--previous", "--tail", "300")))
        told = [f"--- {title}\n{self._tell(*arguments, namespace=namespace)}" for title, arguments in parts]
        return "\n".join(told)

    def _restarted(self, pod: str, namespace: str) -> bool:
        path = "jsonpath={.status.containerStatuses[*].restartCount}"
        return any(count not in {"", "0"} for count in self._tell("get", pod, "-o", path, namespace=namespace).split())

    def _tell(self, *arguments: str, namespace: str) -> str:
        """Return what kubectl said, be it an error: a report must not fail over what it reports on."""
        try:
            return self(*arguments, namespace=namespace, seconds=30)
        except StageError as error:
            return f"({error})"

    def _run(self, command: list[str], stdin: str | None, seconds: float, *, aside: bool = False) -> str:
        done = self._execute(command, stdin, seconds)
        if done.returncode:
            raise StageError(f"`{_words(command)}` failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stderr + done.stdout if aside else done.stdout

    def _execute(self, command: list[str], stdin: str | None, seconds: float) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        try:
            return subprocess.run(
                command, input=stdin, capture_output=True, text=True, env=environment, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise StageError(f"`{_words(command)}` took longer than {seconds:.0f} s.") from error


def _words(command: list[str]) -> str:
    return " ".join([Path(command[0]).name, *command[1:]])
