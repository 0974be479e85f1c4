"""`v6-node down`: what goes and what stays."""

from pathlib import Path

import yaml

from tests.unit.admin.commands import CORE, Cluster, helm_calls, run

VOLUME = {
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "v6-node-tasks"},
    "status": {"capacity": {"storage": "10Gi"}},
}


def test_down_keeps_the_task_volume_and_says_what_stays(cluster: Cluster, tmp_path: Path):
    (tmp_path / "release").write_text("deployed")
    (tmp_path / "manifest").write_text(yaml.safe_dump({**VOLUME, "metadata": {"name": "v6-node-tasks"}}))
    cluster.put(f"{CORE}/persistentvolumeclaims", dict(VOLUME, metadata={"name": "v6-node-tasks"}))
    cluster.put(f"{CORE}/secrets", {"metadata": {"name": "v6-node-key"}, "type": "Opaque"})
    done = run("down")
    assert done.exit_code == 0, done.output
    calls = helm_calls(tmp_path)
    assert [line.split()[1] for line in calls] == ["status", "get", "upgrade", "uninstall"]
    assert "--reuse-values --set taskVolume.keep=true" in calls[2]
    assert f"{CORE}/persistentvolumeclaims/v6-node-tasks" in cluster.objects
    assert "claim v6-node-tasks, 10Gi" in done.stdout and "v6-node-key" in done.stdout and "namespace" in done.stdout


def test_down_leaves_a_release_that_keeps_the_volume_as_it_is(cluster: Cluster, tmp_path: Path):
    (tmp_path / "release").write_text("deployed")
    annotated = {"name": "v6-node-tasks", "annotations": {"helm.sh/resource-policy": "keep"}}
    (tmp_path / "manifest").write_text(yaml.safe_dump({**VOLUME, "metadata": annotated}))
    assert run("down").exit_code == 0
    assert [line.split()[1] for line in helm_calls(tmp_path)] == ["status", "get", "uninstall"]


def test_down_deletes_the_volume_if_asked_also_when_the_node_is_gone_already(cluster: Cluster, tmp_path: Path):
    cluster.put(f"{CORE}/persistentvolumeclaims", dict(VOLUME, metadata={"name": "v6-node-tasks"}))
    done = run("down", "--delete-data")
    assert done.exit_code == 0 and "is deleted" in done.stdout
    assert not cluster.objects
    again = run("down", "--delete-data")
    assert again.exit_code == 1 and "There is no node in namespace v6-node" in again.stderr
