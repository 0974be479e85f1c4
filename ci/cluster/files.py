"""Everything the node reads: its description for the supervisor, programs, certificates, configuration."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from ci.cluster import build, certificates, configuration, node, packages
from ci.cluster.daemons import daemons
from ci.cluster.places import INSIDE, Addresses, Home, Machine

_HERE = Path(__file__).parent
MANIFESTS = _HERE / "manifests"
_SCRIPTS = ("supervisor.py", "internet.py", "procview.py")
_FOLDERS = ("log", "bin", "cni-plugins", "cni-configuration", "cilium/run", "cilium/lib", "volumes")
_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl")
"""The names by which hyperkube is called."""


def fingerprint(home: Home) -> str:
    """Hash of all that shapes the cluster: two with the same one do the same."""
    machines, state = home.machines(Addresses(0)), Path("/")
    shape = [part for each in machines for part in (_description(home, each, state), configuration.texts(each))]
    digest = hashlib.sha256(json.dumps(shape, sort_keys=True).encode())
    for component in build.components(home):
        digest.update(component.key.encode())
    for path in [*sorted(MANIFESTS.glob("*.yaml")), *(_HERE / script for script in _SCRIPTS)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def write(home: Home, addresses: Addresses) -> None:
    """Write the state folder of a cluster that is about to start."""
    for path in node.OWN_FOLDERS.values():
        path.mkdir(parents=True, exist_ok=True)
    authority = certificates.create(home.state / "pki", addresses)
    for machine in home.machines(addresses):
        if not machine.first:
            certificates.join(authority, home.state / machine.folder / "pki", machine)
        _write(home, machine)


def _write(home: Home, machine: Machine) -> None:
    state = home.state / machine.folder
    for name in (*_FOLDERS, *node.OWN_FOLDERS):
        (state / name).mkdir(parents=True)
    for name, text in configuration.texts(machine).items():
        (state / name).write_text(text)
    for script in _SCRIPTS:  # copies: the checkout may go before the cluster does
        shutil.copy(_HERE / script, state / script)
    _link_programs(state, build.components(home))
    (state / "node.json").write_text(json.dumps(_description(home, machine, home.state)))


def _description(home: Home, machine: Machine, state: Path) -> dict[str, Any]:
    """What the supervisor of a machine is to do; ``state`` is the whole cluster's."""
    others = [each for each in home.machines(machine.addresses) if each != machine]
    wires = [command for other in others for command in node.wire(other)]
    return {
        "inside": str(INSIDE),
        "mounts": node.mounts(state / machine.folder, first=machine.first),
        "link": node.LINK,
        "network": [*node.network(machine.addresses), *wires] if machine.first else [],
        "daemons": daemons(machine, others, enforcing=home.enforcing, dra=home.dra),
    }


def link(programs: Path, component: build.Component) -> None:
    """Have the programs of a component in the folder ``programs``, in place of those of an earlier build."""
    for program in component.programs:
        fresh = programs / f".{program}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(component.folder / program)
        fresh.replace(programs / program)


def _link_programs(state: Path, components: tuple[build.Component, ...]) -> None:
    programs, plugins, cilium = state / "bin", state / "cni-plugins", build.folder("cilium")
    for component in components:
        link(programs, component)
    for name in _KUBERNETES:
        (programs / name).symlink_to("hyperkube")
    (programs / "clang").write_text(configuration.clang(packages.CLANG))
    (programs / "clang").chmod(0o755)
    (programs / "llc").symlink_to(f"/usr/bin/llc-{packages.CLANG}")
    for plugin in ("loopback", "portmap"):
        (plugins / plugin).symlink_to(packages.CNI_PLUGINS / plugin)
    (plugins / "cilium-cni").symlink_to(cilium / "cilium-cni")
    (state / "cilium/lib/bpf").symlink_to(cilium / "bpf")
