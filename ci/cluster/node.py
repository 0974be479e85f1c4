"""How the node is set up from inside its namespaces: mounts, addresses and routes, as commands for the supervisor."""

from pathlib import Path

from ci.cluster.places import (
    INSIDE,
    INTERNET,
    INTERNET6,
    INTERNET6_GATEWAY,
    INTERNET6_HOST,
    INTERNET_GATEWAY,
    INTERNET_HOST,
    METADATA,
    Addresses,
    Machine,
)

_CGROUPS = Path("/sys/fs/cgroup")
_OUTSIDE = Path("/var/lib")
OWN_FOLDERS = {"kubelet": _OUTSIDE / "kubelet", "cni": _OUTSIDE / "cni"}
"""Paths that no option of the kubelet and of containerd changes; the node sees folders of its own there."""
LINK = "eth0"
"""The node's end of its wire to this machine."""
WAN = "wan0"
"""The node's end of its wire to the stand-in internet."""


_FORWARDING = [
    *("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"),
    *(f"net.ipv4.conf.{name}.rp_filter=0" for name in ("all", "default")),
]


def mounts(state: Path, *, first: bool = True) -> list[list[str]]:
    """Commands that hide this machine's services and give a machine, whose folder is ``state``, its own places.

    Those of a second machine are for a copy of the ``first`` one's mounts.
    """
    commands = [
        ["mount", "-t", "proc", "proc", "/proc"],
        ["mount", "-t", "tmpfs", "-o", "mode=755", "run", "/run"],
        ["mkdir", "-p", str(INSIDE), "/run/netns", "/run/lock"],
        ["mount", "--bind", str(state), str(INSIDE)],
        ["mount", "-t", "tmpfs", "-o", "mode=755", "log", "/var/log"],
        ["mount", "-t", "bpf", "bpffs", "/sys/fs/bpf"],
    ]
    commands += [["mount", "--bind", str(INSIDE / name), str(path)] for name, path in OWN_FOLDERS.items()]
    if Path("/etc/resolv.conf").resolve().is_relative_to("/etc"):
        # No daemon may wait for a name server that it cannot reach; elsewhere (/run) the file is hidden already.
        commands.append(["mount", "--bind", str(INSIDE / "resolv.conf"), str(Path("/etc/resolv.conf").resolve())])
    if not first:
        # Cilium refuses to see the first one's programs below its own.
        return [["umount", "/sys/fs/bpf"], *commands]
    if (_CGROUPS / "unified").is_mount():
        # crun refuses a hierarchy that is half version 1 and half version 2.
        commands.append(["umount", str(_CGROUPS / "unified")])
    return commands


def network(addresses: Addresses) -> list[list[str]]:
    """Commands for the node's addresses and its internet: one host in a network namespace of its own."""
    prefix, wan, wan6 = addresses.link.prefixlen, INTERNET.prefixlen, INTERNET6.prefixlen
    inside, node6 = ["ip", "-n", "internet"], Machine(addresses).address6
    return [
        _FORWARDING,
        ["ip", "link", "set", "lo", "up"],
        ["ip", "address", "add", f"{addresses.node}/{prefix}", "dev", LINK],
        # An address that is still being looked for elsewhere (duplicate address detection) can't be used yet.
        ["ip", "address", "add", f"{node6}/64", "dev", LINK, "nodad"],
        ["ip", "link", "set", LINK, "up"],
        ["ip", "netns", "add", "internet"],
        ["ip", "link", "add", WAN, "type", "veth", "peer", "name", "eth0", "netns", "internet"],
        ["ip", "address", "add", f"{INTERNET_GATEWAY}/{wan}", "dev", WAN],
        ["ip", "address", "add", f"{INTERNET6_GATEWAY}/{wan6}", "dev", WAN, "nodad"],
        ["ip", "link", "set", WAN, "up"],
        [*inside, "link", "set", "lo", "up"],
        [*inside, "address", "add", f"{INTERNET_HOST}/{wan}", "dev", "eth0"],
        [*inside, "address", "add", f"{METADATA}/32", "dev", "eth0"],
        [*inside, "address", "add", f"{INTERNET6_HOST}/{wan6}", "dev", "eth0", "nodad"],
        [*inside, "link", "set", "eth0", "up"],
        [*inside, "route", "add", "default", "via", str(INTERNET_GATEWAY)],
        [*inside, "-6", "route", "add", "default", "via", str(INTERNET6_GATEWAY)],
        # The whole world, and nothing of this machine's: what leaves the node arrives at the stand-in.
        ["ip", "route", "add", "default", "via", str(INTERNET_HOST)],
        ["ip", "-6", "route", "add", "default", "via", str(INTERNET6_HOST)],
    ]


def wire(machine: Machine) -> list[list[str]]:
    """Commands, for the first machine, that make another one's network namespace and the wire to it.

    The first is the other one's gateway, and answers for it on the wire to this machine.
    """
    name, first = machine.name, Machine(machine.addresses)
    inside = ["ip", "-n", name]
    return [
        ["ip", "netns", "add", name],
        ["nsenter", f"--net=/run/netns/{name}", *_FORWARDING],
        ["ip", "link", "add", name, "type", "veth", "peer", "name", LINK, "netns", name],
        ["ip", "address", "add", f"{first.address6}/128", "dev", name, "nodad"],
        ["ip", "link", "set", name, "up"],
        ["ip", "route", "add", str(machine.address), "dev", name, "src", str(first.address)],
        ["ip", "-6", "route", "add", str(machine.address6), "dev", name],
        ["sysctl", "-qw", f"net.ipv4.conf.{LINK}.proxy_arp=1"],
        [*inside, "link", "set", "lo", "up"],
        [*inside, "address", "add", f"{machine.address}/32", "dev", LINK],
        [*inside, "address", "add", f"{machine.address6}/128", "dev", LINK, "nodad"],
        [*inside, "link", "set", LINK, "up"],
        [*inside, "route", "add", str(first.address), "dev", LINK],
        [*inside, "-6", "route", "add", str(first.address6), "dev", LINK],
        [*inside, "route", "add", "default", "via", str(first.address)],
        [*inside, "-6", "route", "add", "default", "via", str(first.address6)],
    ]


def host_network(addresses: Addresses, pid: int) -> list[list[str]]:
    """Commands, for this machine, that wire it to the node whose network namespace process ``pid`` has."""
    link = addresses.host_link
    return [
        ["ip", "link", "add", link, "type", "veth", "peer", "name", LINK, "netns", str(pid)],
        ["ip", "address", "add", f"{addresses.host}/{addresses.link.prefixlen}", "dev", link],
        ["ip", "link", "set", link, "up"],
        ["ip", "route", "replace", str(addresses.pods), "via", str(addresses.node), "dev", link],
        ["ip", "route", "replace", str(addresses.services), "via", str(addresses.node), "dev", link],
    ]


def cgroups(place: Addresses | Machine) -> list[Path]:
    """The cgroup roots of a node, or of a machine: one in each hierarchy of version 1, or the one of version 2."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS / place.cgroup]
    hierarchies = [path for path in sorted(_CGROUPS.glob("*")) if path.is_dir() and not path.is_symlink()]
    return [path / place.cgroup for path in hierarchies if path.name != "unified"]


def make_cgroups(machine: Machine) -> None:
    for folder in cgroups(machine):
        folder.mkdir(exist_ok=True)
        if folder.parent.name == "cpuset":  # version 1: empty until somebody says which processors
            for file in ("cpuset.cpus", "cpuset.mems"):
                (folder / file).write_text((folder.parent / file).read_text())
        control = folder.parent / "cgroup.subtree_control"
        if control.exists():
            for controller in (folder.parent / "cgroup.controllers").read_text().split():
                control.write_text(f"+{controller}")
