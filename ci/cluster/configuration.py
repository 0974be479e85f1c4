"""The configuration files of the node's daemons: name in the state folder -> text."""

import base64
import json
from pathlib import Path
from typing import Any

import yaml

from ci.cluster.certificates import clients
from ci.cluster.places import INSIDE, Addresses, Machine

PKI = INSIDE / "pki"
CONTAINERD_SOCKET = INSIDE / "containerd.sock"
CILIUM_SOCKET = INSIDE / "cilium/run/cilium.sock"
CNI_PLUGINS = INSIDE / "cni-plugins"
CNI_CONFIGURATION = INSIDE / "cni-configuration"
PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
API_PORT = 6443
API_QUERIES, API_BURST = 500, 1000
"""A second, for each component: nobody shares this API server, so that waiting for permission measures nothing."""

# Of the version that containerd 1 reads; containerd 2 reads it too, as its own.
_CONTAINERD = """\
version = 2
root = "{inside}/containerd"
state = "{inside}/containerd-state"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Without CAP_SYS_RESOURCE nobody may lower a score: "can't get final child's PID from pipe".
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  # Pods may send echo requests, as on most clusters: that an algorithm's come to nothing is to be the policies' doing.
  enable_unprivileged_icmp = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{configuration}"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun.options]
        BinaryName = "/usr/bin/crun"

    # gVisor's shim and runsc are looked for when a pod asks for them, on containerd's PATH.
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runsc]
      runtime_type = "io.containerd.runsc.v1"
"""

# Cilium 1.15 was written for an older compiler, and stops at the warnings of this one.
_CLANG = """\
#!/bin/sh
exec /usr/bin/clang-{version} "$@" -Wno-error
"""


def texts(machine: Machine) -> dict[str, str]:
    """The configuration of every daemon of a machine."""
    control = {"scheduler.yaml": yaml.safe_dump(_scheduler())} if machine.first else {}
    return {
        "resolv.conf": "",
        "containerd.toml": _CONTAINERD.format(
            inside=INSIDE,
            socket=CONTAINERD_SOCKET,
            pause=PAUSE_IMAGE,
            plugins=CNI_PLUGINS,
            configuration=CNI_CONFIGURATION,
        ),
        f"{CNI_CONFIGURATION.name}/05-cilium.conflist": json.dumps(_cni()),
        "kubelet.yaml": yaml.safe_dump(_kubelet(machine)),
        **control,
        "proxy.yaml": yaml.safe_dump(_proxy(machine)),
        **{f"{user}.kubeconfig": yaml.safe_dump(kubeconfig(machine.addresses, user)) for user in clients(machine)},
    }


def clang(version: str) -> str:
    """The program that the agent calls as ``clang``."""
    return _CLANG.format(version=version)


def kubeconfig(addresses: Addresses, user: str, pki: Path | None = None) -> dict[str, Any]:
    """What reaches the API server as ``user``.

    The certificates are named where the node has them; with ``pki``, the folder that has them, they are inside.
    """

    def certificate(key: str, file: str) -> dict[str, str]:
        if pki is None:
            return {key: str(PKI / file)}
        return {f"{key}-data": base64.b64encode((pki / file).read_bytes()).decode()}

    name = "v6-node"
    cluster = {"server": f"https://{addresses.node}:{API_PORT}", **certificate("certificate-authority", "ca.crt")}
    identity = certificate("client-certificate", f"{user}.crt") | certificate("client-key", f"{user}.key")
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": identity}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }


def _cni() -> dict[str, Any]:
    cilium = {"type": "cilium-cni", "enable-debug": False, "log-file": str(INSIDE / "log/cilium-cni.log")}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.3.1", "name": "cilium", "plugins": [cilium, ports]}


def _kubelet(machine: Machine) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "::",  # both kinds of addresses of the node
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(PKI / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(PKI / "kubelet.crt"),
        "tlsPrivateKeyFile": str(PKI / "kubelet.key"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{machine.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "clusterDNS": [str(machine.addresses.dns_service)],
        "clusterDomain": "cluster.local",
        "resolvConf": str(INSIDE / "resolv.conf"),
        "healthzBindAddress": "127.0.0.1",
        "podLogsDir": str(INSIDE / "pod-logs"),
        "volumePluginDir": str(INSIDE / "volume-plugins"),
        # Images cannot be fetched again: a full disk must not make the kubelet remove them.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "1%",
        },
        "maxPods": 200,
        "serializeImagePulls": False,
        "kubeAPIQPS": API_QUERIES,
        "kubeAPIBurst": API_BURST,
        "eventRecordQPS": 0,
        "registryPullQPS": 0,
    }


def _scheduler() -> dict[str, Any]:
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {
            "kubeconfig": str(INSIDE / "scheduler.kubeconfig"),
            "qps": API_QUERIES,
            "burst": API_BURST,
        },
        "leaderElection": {"leaderElect": False},
    }


def _proxy(machine: Machine) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(INSIDE / "proxy.kubeconfig")},
        "mode": "nftables",
        "hostnameOverride": machine.name,
        "clusterCIDR": f"{machine.addresses.pods},{machine.addresses.pods6}",
        "bindAddress": str(machine.address),
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "conntrack": {"maxPerCore": 0},  # the kernel's own limit: it may not be raised from here
        "nodePortAddresses": [f"{machine.address}/32", f"{machine.address6}/128"],
    }
