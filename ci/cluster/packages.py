"""The Debian packages the cluster runs on, and whether it can run on this machine at all."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ci import debian
from ci.cluster.errors import ClusterError

INSTEAD = (
    "install kind, k3d or minikube with Cilium as its network (its NetworkPolicies must be enforced), "
    "start it, and set KUBECONFIG to its kubeconfig"
)
CNI_PLUGINS = Path("/usr/lib/cni")
CLANG = "19"
NEEDED = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "crun": "crun",
    f"clang-{CLANG}": f"clang-{CLANG}",
    f"llc-{CLANG}": f"llvm-{CLANG}",
    "bpftool": "bpftool",
    "nft": "nftables",
    "iptables": "iptables",
    "ipset": "ipset",
    "conntrack": "conntrack",
    "modprobe": "kmod",
    "ip": "iproute2",
    "tc": "iproute2",
    "sysctl": "procps",
    "unshare": "util-linux",
    "mount": "mount",
    str(CNI_PLUGINS / "portmap"): "containernetworking-plugins",
}
"""Program -> the package that has it."""
BUSYBOX = "busybox-static"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def refuse_unsuitable() -> None:
    """Raise ClusterError where no local cluster can be built, saying what to install instead."""
    reason = ""
    if sys.platform != "linux":
        reason = f"needs Linux, and this is {platform.system()}"
    elif os.geteuid() != 0:
        reason = "needs root"
    elif not shutil.which("apt-get"):
        reason = "needs a Debian-like system with apt-get"
    if reason:
        raise ClusterError(f"The local cluster {reason}: {INSTEAD}.")


def ensure(say: Callable[[str], None]) -> None:
    """Install what is missing.

    Raises:
        ClusterError: with what apt-get said last, when it could not.
    """
    missing = sorted({package for program, package in NEEDED.items() if not shutil.which(program, path=_PATH)})
    if not _is_static_busybox():
        missing.append(BUSYBOX)
    if not missing:
        return
    say(f"installing Debian packages: {' '.join(missing)}")
    try:
        debian.install(missing)
    except debian.InstallError as error:
        raise ClusterError(str(error)) from error


def _is_static_busybox() -> bool:
    """Whether Debian's statically linked busybox is there: ``busybox`` may be the one that needs libraries."""
    query = ["dpkg-query", "-W", "-f", "${Status}", BUSYBOX]
    return "install ok installed" in subprocess.run(query, capture_output=True, text=True, check=False).stdout
