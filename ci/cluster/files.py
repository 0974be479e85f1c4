"""Everything the node reads: its description for the supervisor, programs, certificates, configuration."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from ci.cluster import build, certificates, configuration, node, packages
from ci.cluster.daemons import daemons
from ci.cluster.places import INSIDE, Addresses, Home

_HERE = Path(__file__).parent
MANIFESTS = _HERE / "manifests"
_SCRIPTS = ("supervisor.py", "internet.py", "procview.py")
_FOLDERS = ("log", "bin", "cni-plugins", "cni-configuration", "cilium/run", "cilium/lib", "volumes")
_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl")
"""The names by which hyperkube is called."""


def fingerprint(home: Home) -> str:
    """Hash of all that shapes the cluster: two with the same one do the same."""
    addresses = Addresses(0)
    shape = [_description(home, addresses, Path("/")), configuration.texts(addresses)]
    digest = hashlib.sha256(json.dumps(shape, sort_keys=True).encode())
    for component in build.COMPONENTS:
        digest.update(component.key.encode())
    for path in [*sorted(MANIFESTS.glob("*.yaml")), *(_HERE / script for script in _SCRIPTS)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def write(home: Home, addresses: Addresses) -> None:
    """Write the state folder of a cluster that is about to start."""
    state = home.state
    for name in _FOLDERS:
        (state / name).mkdir(parents=True)
    for name, path in node.OWN_FOLDERS.items():
        (state / name).mkdir()
        path.mkdir(parents=True, exist_ok=True)
    certificates.create(state / "pki", addresses)
    for name, text in configuration.texts(addresses).items():
        (state / name).write_text(text)
    for script in _SCRIPTS:  # copies: the checkout may go before the cluster does
        shutil.copy(_HERE / script, state / script)
    _link_programs(state)
    (state / "node.json").write_text(json.dumps(_description(home, addresses, state)))


def _description(home: Home, addresses: Addresses, state: Path) -> dict[str, Any]:
    """What the supervisor is to do."""
    return {
        "inside": str(INSIDE),
        "mounts": node.mounts(state),
        "link": node.LINK,
        "network": node.network(addresses),
        "daemons": daemons(addresses, enforcing=home.enforcing),
    }


def _link_programs(state: Path) -> None:
    programs, plugins, cilium = state / "bin", state / "cni-plugins", build.folder("cilium")
    for component in build.COMPONENTS:
        for program in component.programs:
            (programs / program).symlink_to(component.folder / program)
    for name in _KUBERNETES:
        (programs / name).symlink_to("hyperkube")
    (programs / "clang").write_text(configuration.clang(packages.CLANG))
    (programs / "clang").chmod(0o755)
    (programs / "llc").symlink_to(f"/usr/bin/llc-{packages.CLANG}")
    for plugin in ("loopback", "portmap"):
        (plugins / plugin).symlink_to(packages.CNI_PLUGINS / plugin)
    (plugins / "cilium-cni").symlink_to(cilium / "cilium-cni")
    (state / "cilium/lib/bpf").symlink_to(cilium / "bpf")
