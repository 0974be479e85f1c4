"""The cluster's front: which cluster is used, where none can be built, who uses it, what makes two the same."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci import cluster
from ci.cluster import build, configuration, daemons, files, lifecycle, locks, packages
from ci.cluster.errors import ClusterError
from ci.cluster.places import INSIDE, Addresses, Home, Machine


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("V6_NODE_HOST_ADDRESS", raising=False)


def kubeconfig(folder: Path, server: str) -> Path:
    file = folder / "config"
    config = {
        "clusters": [
            {"name": "other", "cluster": {"server": "https://192.0.2.99:1"}},
            {"name": "theirs", "cluster": {"server": server}},
        ],
        "contexts": [{"name": "ours", "context": {"cluster": "theirs", "user": "me"}}],
        "current-context": "ours",
    }
    file.write_text(yaml.safe_dump(config))
    return file


def test_kubeconfig_names_the_cluster_and_nothing_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = kubeconfig(tmp_path, "https://127.0.0.1:6443")
    monkeypatch.setenv("KUBECONFIG", str(file))
    monkeypatch.setattr(lifecycle, "up", lambda *_, **__: pytest.fail("built a cluster"))
    found = cluster.ensure()
    assert (found.kubeconfig, found.local) == (file, False)
    with pytest.raises(ClusterError, match="not a local one"):
        found.load([])
    with pytest.raises(ClusterError, match="not a local one"):
        found.add_gvisor()


def test_a_kubeconfig_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    with pytest.raises(ClusterError, match=r"KUBECONFIG names .*nowhere, which does not exist"):
        cluster.ensure()


@pytest.mark.parametrize("number", range(8))
def test_the_local_kubeconfig_is_still_the_local_cluster(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(Home.every()[number].kubeconfig))
    assert cluster.foreign() is None


def test_pods_reach_this_machine_where_it_reaches_the_api_server_from(tmp_path: Path) -> None:
    lo_only = cluster.Cluster(kubeconfig(tmp_path, "https://127.0.0.1:6443"))
    with pytest.raises(ClusterError, match="V6_NODE_HOST_ADDRESS"):
        lo_only.host_address  # noqa: B018 - the property raises


def test_the_address_for_pods_can_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V6_NODE_HOST_ADDRESS", "192.0.2.7")
    assert cluster.Cluster(kubeconfig(tmp_path, "https://127.0.0.1:6443")).host_address == "192.0.2.7"


@pytest.mark.parametrize("text", ["{}", "current-context: gone\ncontexts: []\nclusters: []", ""])
def test_a_kubeconfig_without_a_server_is_refused_by_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(ClusterError, match="has no current context"):
        cluster.Cluster(tmp_path / "config").host_address  # noqa: B018 - the property raises


@pytest.mark.parametrize(
    ("platform", "user", "apt", "reason"),
    [
        ("darwin", 0, "/usr/bin/apt-get", "needs Linux"),
        ("linux", 1000, "/usr/bin/apt-get", "needs root"),
        ("linux", 0, None, "needs a Debian-like system"),
    ],
)
def test_where_it_cannot_be_built_one_sentence_says_what_to_do(
    platform: str, user: int, apt: str | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(shutil, "which", lambda _: apt)
    with pytest.raises(ClusterError) as refusal:
        packages.refuse_unsuitable()
    message = str(refusal.value)
    assert reason in message
    assert "kind, k3d or minikube" in message
    assert "KUBECONFIG" in message
    assert "\n" not in message


def test_here_something_can_be_built_only_with_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(ClusterError, match="install Go"):
        build.go()


@pytest.mark.parametrize(
    ("component", "module", "version"),
    [
        ("kubernetes", "k8s.io/kubernetes", build.VERSIONS["Kubernetes"]),
        ("kubernetes", "github.com/coredns/coredns", build.VERSIONS["CoreDNS"]),
        ("cilium", "github.com/cilium/cilium", build.VERSIONS["Cilium"]),
        ("etcd", "go.etcd.io/etcd/server/v3", build.VERSIONS["etcd"]),
        (
            "local-path-provisioner",
            "github.com/rancher/local-path-provisioner",
            build.VERSIONS["local-path-provisioner"],
        ),
    ],
)
def test_the_versions_told_are_the_versions_built(component: str, module: str, version: str) -> None:
    pinned = (build.SOURCES / component / "go.mod").read_text()
    assert re.search(rf"^(?:require |\t){re.escape(module)} v{re.escape(version)}$", pinned, re.MULTILINE)


def test_a_component_is_built_anew_when_what_it_is_made_of_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(build.SOURCES, tmp_path / "components")
    component = next(c for c in build.COMPONENTS if c.name == "pause")
    before = component.key
    monkeypatch.setattr(build, "SOURCES", tmp_path / "components")
    assert component.key == before
    with (tmp_path / "components/pause/main.go").open("a") as source:
        source.write("// changed\n")
    assert component.key != before


def test_containerd_knows_the_handler_of_every_runtime_class() -> None:
    settings = tomllib.loads(configuration.texts(Machine(Addresses(0)))["containerd.toml"])
    known = settings["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]
    classes = list(yaml.safe_load_all((files.MANIFESTS / "runtimes.yaml").read_text()))
    assert {each["metadata"]["name"]: each["handler"] for each in classes} == {"crun": "crun", "gvisor": "runsc"}
    assert {each["handler"] for each in classes} <= known.keys()
    # How containerd finds the program: io.containerd.NAME.VERSION is containerd-shim-NAME-VERSION.
    *_, name, version = known["runsc"]["runtime_type"].split(".")
    assert f"containerd-shim-{name}-{version}" in build.GVISOR.programs


def test_programs_that_are_brought_later_take_the_place_of_earlier_ones(tmp_path: Path) -> None:
    (tmp_path / "runsc").symlink_to("/an/earlier/build")
    files.link(tmp_path, build.GVISOR)
    files.link(tmp_path, build.GVISOR)
    assert {path.name: path.readlink() for path in tmp_path.iterdir() if path.is_symlink()} == {
        program: build.GVISOR.folder / program for program in build.GVISOR.programs
    }


def test_nothing_is_built_for_a_cluster_that_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "ensure", lambda *_: pytest.fail("built something"))
    with pytest.raises(ClusterError, match=r"No cluster runs in .*: start it with `python -m ci\.cluster up`\."):
        lifecycle.add(Home.of(), build.GVISOR)


def test_the_same_cluster_in_two_caches_has_one_fingerprint(tmp_path: Path) -> None:
    assert files.fingerprint(Home(tmp_path / "a")) == files.fingerprint(Home(tmp_path / "b"))


def test_a_cluster_that_enforces_nothing_is_another(tmp_path: Path) -> None:
    assert files.fingerprint(Home(tmp_path)) != files.fingerprint(Home(tmp_path, enforcing=False))


def test_a_cluster_of_two_machines_is_another(tmp_path: Path) -> None:
    assert files.fingerprint(Home(tmp_path)) != files.fingerprint(Home(tmp_path, nodes=2))


def test_where_devices_can_be_claimed_containerd_and_a_driver_come_on_top(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.node, "OWN_FOLDERS", {})
    told = {}
    for home in (Home(tmp_path / "usual"), Home(tmp_path / "dra", dra=True)):
        files.write(home, Addresses(5))
        programs = {path.name for path in (home.state / "bin").iterdir()}
        started = [daemon["name"] for daemon in json.loads((home.state / "node.json").read_text())["daemons"]]
        told[home.dra] = programs, started, files.fingerprint(home)
    assert told[True][0] - told[False][0] == {"containerd", "containerd-shim-runc-v2", "dra-driver"}
    assert told[True][1] == [*told[False][1], "dra-driver"]
    assert told[True][2] != told[False][2]


@pytest.mark.parametrize(("enforcing", "policy"), [(True, "default"), (False, "never")])
def test_only_the_agent_differs_where_nothing_is_enforced(enforcing: bool, policy: str) -> None:
    told = {d["name"]: d["argv"] for d in daemons.daemons(Machine(Addresses(0)), enforcing=enforcing)}
    assert f"--enable-policy={policy}" in told["cilium"]


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the supervisors of a cluster of two machines are told: each finds it in its state folder."""
    monkeypatch.setattr(files.node, "OWN_FOLDERS", {})
    home = Home(tmp_path, nodes=2)
    files.write(home, Addresses(5))
    return [json.loads((state / "node.json").read_text()) for state in home.states]


def test_a_second_machine_runs_what_makes_it_one_and_nothing_of_the_control_plane(two: list[dict[str, Any]]) -> None:
    first, second = ([daemon["name"] for daemon in each["daemons"]] for each in two)
    assert second == ["containerd", "proxy", "kubelet", "cilium"]
    assert set(first) == {*second, "node2", "internet", "etcd", "apiserver", "controller-manager", "scheduler"}


def test_a_second_machine_is_a_daemon_of_the_first(two: list[dict[str, Any]], tmp_path: Path) -> None:
    (argv,) = [daemon["argv"] for daemon in two[0]["daemons"] if daemon["name"] == "node2"]
    assert argv[-2:] == [f"{INSIDE}/supervisor.py", f"{INSIDE}/node2"]
    assert ["mount", "--bind", f"{tmp_path}/state/node2/state", str(INSIDE)] in two[1]["mounts"]
    assert two[1]["network"] == [], "the first machine makes it, before the second starts"


def test_what_two_machines_must_not_share_differs(two: list[dict[str, Any]], tmp_path: Path) -> None:
    states = Home(tmp_path, nodes=2).states
    for file in ("kubelet.yaml", "proxy.yaml", "pki/kubelet.crt", "pki/proxy.key"):
        one, other = ((state / file).read_text() for state in states)
        assert one != other, file
    kubelets = [yaml.safe_load((state / "kubelet.yaml").read_text()) for state in states]
    assert [each["cgroupRoot"] for each in kubelets] == ["/v6-node-5", "/v6-node-5/node2"]
    assert not (states[1] / "pki/ca.key").exists()
    assert not (states[1] / "admin.kubeconfig").exists()


def test_of_one_machine_nothing_speaks_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.node, "OWN_FOLDERS", {})
    home = Home(tmp_path)
    files.write(home, Addresses(5))
    assert "node2" not in (home.state / "node.json").read_text()
    assert "direct-node-routes" not in (home.state / "node.json").read_text()
    assert not (home.state / "node2").exists()


def test_whoever_uses_the_cluster_is_known_until_they_end(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ci.cluster import locks\n"
        f"held = locks.share(Path({str(tmp_path / 'users')!r})); print('using', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as user:
        assert user.stdout
        assert user.stdin
        assert user.stdout.readline() == "using\n"
        assert locks.holders(tmp_path / "users") == [user.pid]
        with locks.share(tmp_path / "users"):
            assert locks.holders(tmp_path / "users") == [user.pid], "this process is not somebody else"
        user.stdin.close()
        user.wait()
    assert locks.holders(tmp_path / "users") == []


def test_what_others_use_is_not_taken_down_from_under_them(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home.of()
    taken: list[Home] = []
    monkeypatch.setattr(packages, "refuse_unsuitable", lambda: None)
    monkeypatch.setattr(lifecycle.processes, "of", lambda _: object())
    monkeypatch.setattr(lifecycle.locks, "holders", lambda path: [4711] if path == home.users else [])
    monkeypatch.setattr(lifecycle.teardown, "down", taken.append)
    with pytest.raises(ClusterError, match=r"being used \(process 4711\): add --force"):
        lifecycle.down(home)
    assert taken == []
    lifecycle.down(home, force=True)
    assert taken == [home]
