"""The daemons of the node: their arguments, and what has to be there before each is started."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ci.cluster.configuration import (
    API_BURST,
    API_PORT,
    API_QUERIES,
    CILIUM_SOCKET,
    CONTAINERD_SOCKET,
    PKI,
)
from ci.cluster.node import LINK, WAN
from ci.cluster.places import (
    INSIDE,
    INTERNET6_HOST,
    INTERNET_HOST,
    INTERNET_NAME,
    METADATA,
    RANGE,
    Addresses,
    Machine,
)

ETCD_PORT = 2379
_ETCD = {"tcp": ["127.0.0.1", ETCD_PORT]}
_CONTAINERD = {"unix": str(CONTAINERD_SOCKET)}


def daemons(
    machine: Machine, others: Sequence[Machine] = (), *, enforcing: bool, dra: bool = False
) -> list[dict[str, Any]]:
    """All daemons of a machine, where there are others too, in the order of their start.

    ``enforcing``: whether NetworkPolicies count; ``dra``: whether it has devices to claim.
    """
    addresses = machine.addresses
    api = {"tcp": [str(addresses.node), API_PORT]}
    containerd, *everywhere = _everywhere(machine, others, enforcing=enforcing)
    if dra:
        everywhere.append(_daemon("dra-driver", ["dra-driver", f"{INSIDE}/kubelet.kubeconfig", machine.name]))
    if not machine.first:
        return [containerd, *everywhere]
    return [
        _daemon("internet", _internet()),
        _daemon("etcd", _etcd(machine)),
        containerd,
        _daemon("apiserver", _api_server(addresses), _ETCD),
        *(_daemon(other.name, _machine(other), api) for other in others),
        _daemon("controller-manager", _controller_manager(addresses), api),
        _daemon("scheduler", ["kube-scheduler", f"--config={INSIDE}/scheduler.yaml", "--bind-address=127.0.0.1"]),
        *everywhere,
    ]


def _everywhere(machine: Machine, others: Sequence[Machine], *, enforcing: bool) -> list[dict[str, Any]]:
    """What makes a machine one of the cluster's."""
    return [
        _daemon(
            "containerd",
            ["containerd", "--config", f"{INSIDE}/containerd.toml"],
            env={"CILIUM_SOCK": str(CILIUM_SOCKET)},
        ),
        _daemon("proxy", ["kube-proxy", f"--config={INSIDE}/proxy.yaml"]),
        _daemon("kubelet", _kubelet(machine), _CONTAINERD),
        _daemon(
            "cilium",
            _cilium(machine, others, enforcing=enforcing),
            env={"K8S_NODE_NAME": machine.name, "CILIUM_K8S_NAMESPACE": "kube-system"},
        ),
    ]


def _machine(machine: Machine) -> list[str]:
    """Another machine: a supervisor in namespaces of its own, which ends with its daemons as the first one does."""
    namespaces = ["--mount", "--propagation=private", "--pid", "--ipc", "--uts", "--kill-child=SIGKILL"]
    enter = ["nsenter", f"--net=/run/netns/{machine.name}", "unshare", *namespaces]
    return [*enter, "@python", "-I", f"{INSIDE}/supervisor.py", str((INSIDE / machine.folder).parent)]


def _daemon(name: str, argv: list[str], *needs: dict[str, Any], env: dict[str, str] | None = None) -> dict[str, Any]:
    return {"name": name, "argv": argv, "needs": list(needs), "env": env or {}}


def _internet() -> list[str]:
    addresses = [str(INTERNET_HOST), str(METADATA), str(INTERNET6_HOST)]
    python = ["@python", "-I", f"{INSIDE}/internet.py", INTERNET_NAME, *addresses]
    return ["nsenter", "--net=/run/netns/internet", *python]


def _etcd(machine: Machine) -> list[str]:
    client, peer = f"http://127.0.0.1:{ETCD_PORT}", "http://127.0.0.1:2380"
    return [
        "etcd",
        f"--name={machine.name}",
        f"--data-dir={INSIDE}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={machine.name}={peer}",
        "--unsafe-no-fsync",  # a cluster that dies is replaced, not restored
        "--log-level=warn",
    ]


def _api_server(addresses: Addresses) -> list[str]:
    return [
        "kube-apiserver",
        f"--bind-address={addresses.node}",
        f"--advertise-address={addresses.node}",
        f"--secure-port={API_PORT}",
        f"--etcd-servers=http://127.0.0.1:{ETCD_PORT}",
        f"--service-cluster-ip-range={addresses.services},{addresses.services6}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={PKI}/ca.crt",
        f"--tls-cert-file={PKI}/apiserver.crt",
        f"--tls-private-key-file={PKI}/apiserver.key",
        f"--kubelet-client-certificate={PKI}/admin.crt",
        f"--kubelet-client-key={PKI}/admin.key",
        f"--kubelet-certificate-authority={PKI}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",  # names would hang logs and exec on a name server
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={PKI}/tokens.pub",
        f"--service-account-signing-key-file={PKI}/tokens.key",
        f"--requestheader-client-ca-file={PKI}/ca.crt",
        "--endpoint-reconciler-type=master-count",
        "--profiling=false",
    ]


def _controller_manager(addresses: Addresses) -> list[str]:
    return [
        "kube-controller-manager",
        f"--kubeconfig={INSIDE}/controller-manager.kubeconfig",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials",
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={addresses.pods},{addresses.pods6}",
        f"--service-cluster-ip-range={addresses.services},{addresses.services6}",
        "--node-cidr-mask-size-ipv4=24",
        "--node-cidr-mask-size-ipv6=64",
        f"--service-account-private-key-file={PKI}/tokens.key",
        f"--root-ca-file={PKI}/ca.crt",
        f"--cluster-signing-cert-file={PKI}/ca.crt",
        f"--cluster-signing-key-file={PKI}/ca.key",
        f"--flex-volume-plugin-dir={INSIDE}/volume-plugins",
        f"--kube-api-qps={API_QUERIES}",
        f"--kube-api-burst={API_BURST}",
    ]


def _kubelet(machine: Machine) -> list[str]:
    return [
        "kubelet",
        f"--config={INSIDE}/kubelet.yaml",
        f"--kubeconfig={INSIDE}/kubelet.kubeconfig",
        "--root-dir=/var/lib/kubelet",
        f"--cert-dir={PKI}",
        f"--hostname-override={machine.name}",
        f"--node-ip={machine.address},{machine.address6}",
    ]


def _cilium(machine: Machine, others: Sequence[Machine], *, enforcing: bool) -> list[str]:
    state = INSIDE / "cilium"
    devices = [LINK, *([WAN, *(other.name for other in others)] if machine.first else [])]
    agent = [
        "cilium-agent",
        f"--k8s-kubeconfig-path={INSIDE}/cilium.kubeconfig",
        f"--k8s-client-qps={API_QUERIES}",
        f"--k8s-client-burst={API_BURST}",
        "--ipam=kubernetes",
        "--enable-ipv6=true",
        "--enable-ipv4-masquerade=false",
        "--enable-ipv6-masquerade=false",
        "--routing-mode=native",
        f"--ipv4-native-routing-cidr={RANGE}",
        f"--ipv6-native-routing-cidr={machine.addresses.block6}",
        "--kube-proxy-replacement=false",
        "--bpf-lb-sock=false",
        "--enable-l7-proxy=false",
        "--disable-envoy-version-check=true",
        "--enable-hubble=false",
        "--enable-health-checking=false",
        "--enable-endpoint-health-checking=false",
        "--enable-xt-socket-fallback=true",
        "--identity-allocation-mode=crd",
        "--cluster-name=default",
        f"--state-dir={state}/run",
        f"--lib-dir={state}/lib",
        f"--socket-path={CILIUM_SOCKET}",
        f"--cgroup-root={state}/cgroup",
        "--bpf-root=/sys/fs/bpf",
        f"--devices={','.join(devices)}",
        *(["--auto-direct-node-routes=true"] if others else []),
        "--preallocate-bpf-maps=false",
        "--cni-exclusive=false",
        f"--enable-policy={'default' if enforcing else 'never'}",
    ]
    if Path("/proc/modules").exists():
        return agent
    view = ["@python", "-I", f"{INSIDE}/procview.py", f"{INSIDE}/proc"]
    return ["unshare", "--mount", "--propagation", "private", *view, *agent]
