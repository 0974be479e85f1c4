"""What was tested against what: read from the things themselves, not from where their versions are pinned."""

import json
import platform
from importlib.metadata import version

from tests.stage.kube import Kubectl
from tests.stage.server import Server


def of_cluster(kubectl: Kubectl) -> list[str]:
    """Return a line each for Kubernetes, its machines, and the network plugin that enforces policies."""
    server = json.loads(kubectl("version", "--output", "json"))["serverVersion"]["gitVersion"]
    machines = kubectl.get("nodes")
    infos = {
        f"{info['osImage']}, kernel {info['kernelVersion']}, {info['containerRuntimeVersion']}"
        for info in (machine["status"]["nodeInfo"] for machine in machines)
    }
    return [f"Kubernetes {server} on {len(machines)} machine(s): {'; '.join(sorted(infos))}", _network(kubectl)]


def _network(kubectl: Kubectl) -> str:
    groups = kubectl("get", "--raw", "/apis")
    known = {"cilium.io": "Cilium", "crd.projectcalico.org": "Calico", "antrea.io": "Antrea"}
    found = [name for group, name in known.items() if f'"{group}"' in groups]
    return f"Network policies by {' and '.join(found) or 'a plugin without an API of its own'}"


def of_programs(kubectl: Kubectl) -> list[str]:
    helm = kubectl.helm("version", "--template", "{{.Version}}", namespace="default").strip()
    return [f"Helm {helm}, Python {platform.python_version()} (tests)"]


def of_vantage6(server: Server) -> list[str]:
    return [f"vantage6 server {server.version()}, vantage6-client {version('vantage6-client')}"]
