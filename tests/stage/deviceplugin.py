"""GPUs that there are none of: a device plugin of the tests' own, beside the kubelet of one machine.

Its program (`ci/cluster/components/device-plugin`) goes into a pod of an image that is there anyway, so that it also
runs on a cluster that other machines bring images to.
"""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ci.cluster import build
from tests.stage.kube import Kubectl
from tests.stage.waiting import wait_until

POD = "device-plugin"
FOLDER = "/var/lib/kubelet/device-plugins"
"""Where kubelet looks, unless it has another root folder than the usual one."""
_PROGRAM = "/tmp/device-plugin"
_RUN = f'until [ -e {_PROGRAM}.ready ]; do sleep 0.2; done; exec {_PROGRAM} "$@"'
_BRING = f"base64 -d >{_PROGRAM} && chmod +x {_PROGRAM} && touch {_PROGRAM}.ready"
_SECONDS = 60


@contextmanager
def devices(kubectl: Kubectl, namespace: str, machine: str, image: str, numbers: Mapping[str, int]) -> Iterator[None]:
    """Have a machine offer devices, until the end.

    Args:
        kubectl: the cluster.
        namespace: one that allows folders of the machine.
        machine: name of the Kubernetes node.
        image: any that has a shell and base64.
        numbers: how many of each resource, by its name.

    Raises:
        StageError: kubelet does not take them.
    """
    build.ensure(print, (build.DEVICE_PLUGIN,))
    program = (build.DEVICE_PLUGIN.folder / "device-plugin").read_bytes()
    kubectl.apply(_pod(machine, image, numbers), namespace=namespace)
    try:
        kubectl("wait", "--for=condition=Ready", f"pod/{POD}", f"--timeout={_SECONDS}s", namespace=namespace)
        bring = ("exec", "-i", POD, "--", "sh", "-c", _BRING)
        kubectl(*bring, namespace=namespace, stdin=base64.b64encode(program).decode())
        _offered(kubectl, machine, dict(numbers))
        yield
    finally:
        kubectl("delete", "pod", POD, "--ignore-not-found", namespace=namespace)
        _offered(kubectl, machine, dict.fromkeys(numbers, 0))


def offered(kubectl: Kubectl, machine: str) -> dict[str, int]:
    """How many a machine offers of each resource with a domain, by its name; what it does not offer is not there."""
    allocatable = kubectl.get("node", machine)["status"]["allocatable"]
    return {name: int(amount) for name, amount in allocatable.items() if "/" in name and amount != "0"}


def _offered(kubectl: Kubectl, machine: str, numbers: dict[str, int]) -> None:
    def so_many() -> bool:
        found = offered(kubectl, machine)
        return all(found.get(name, 0) == number for name, number in numbers.items())

    wait_until(so_many, _SECONDS, lambda: f"{machine} offers {offered(kubectl, machine)} instead of {numbers}")


def _pod(machine: str, image: str, numbers: Mapping[str, int]) -> dict[str, Any]:
    container = {
        "name": POD,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", _RUN, POD, *(f"{name}={number}" for name, number in numbers.items())],
        "securityContext": {"seLinuxOptions": {"type": "spc_t"}},  # where SELinux guards kubelet's folder
        "volumeMounts": [{"name": "plugins", "mountPath": FOLDER}],
    }
    spec = {
        "nodeName": machine,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
        "volumes": [{"name": "plugins", "hostPath": {"path": FOLDER, "type": "Directory"}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD}, "spec": spec}
