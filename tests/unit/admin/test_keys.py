"""`v6-node create-private-key` and `set-api-key`: keys are made, written and waited for."""

import base64
import json
import stat
from pathlib import Path

import pytest

from launcher.admin import keys
from launcher.encryption import Encrypted
from tests.unit.admin.commands import CORE, OTHER_KEY, Cluster, run, trying
from tests.unit.node_objects import LAUNCHER, ONLINE, waiting
from tests.unit.test_admin_plan import GOOD


@pytest.fixture
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "new_private_key", lambda: "-----BEGIN RSA PRIVATE KEY-----\n")


def test_a_new_private_key_is_one_that_vantage6_and_the_node_take(tmp_path: Path):
    file = tmp_path / "key.pem"
    keys.write_private_key(file, keys.new_private_key())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Encrypted(file).public_key


@pytest.mark.usefixtures("quick_keys")
def test_a_private_key_is_never_overwritten(cluster: Cluster, tmp_path: Path):
    file = tmp_path / "key.pem"
    assert run("create-private-key", "-o", file, "--secret", "v6-org-key").exit_code == 0
    assert "private_key.pem" in cluster.objects[f"{CORE}/secrets/v6-org-key"]["data"]
    again = run("create-private-key", "-o", file)
    assert again.exit_code == 1 and f"{file} is there already" in again.stderr
    in_secret = run("create-private-key", "--secret", "v6-org-key")
    assert in_secret.exit_code == 1 and "Secret v6-org-key" in in_secret.stderr


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_key_is_written_and_waited_for_until_the_launcher_has_it(cluster: Cluster):
    cluster.install()
    cluster.put(f"{CORE}/secrets", {"metadata": {"name": "v6-node-key"}, "data": {"api_key": encoded(GOOD["api_key"])}})
    cluster.program = trying("")
    done = run("set-api-key", stdin=f" {OTHER_KEY}\n")
    assert done.exit_code == 0, done.output
    assert cluster.objects[f"{CORE}/secrets/v6-node-key"]["data"]["api_key"] == encoded(OTHER_KEY)
    assert "logged in with it" in done.stdout and OTHER_KEY not in done.output
    # kubelet looks at a pod's Secrets when an annotation changes
    assert (
        "v6-node.vantage6.ai/api-key-set"
        in cluster.objects[f"{CORE}/pods/v6-node-launcher-0"]["metadata"]["annotations"]
    )
    assert "has that key already" in run("set-api-key", stdin=OTHER_KEY).stdout


def test_a_key_that_the_server_refuses_is_said(cluster: Cluster):
    cluster.install()
    cluster.program = trying("The server refuses api_key (no).")
    done = run("set-api-key", stdin=OTHER_KEY)
    assert done.exit_code == 1 and done.stderr.splitlines()[-1] == "The server refuses api_key (no)."


def test_a_launcher_that_does_not_run_is_started_anew(cluster: Cluster):
    cluster.install(waiting(LAUNCHER, "CrashLoopBackOff", ""))
    cluster.program = lambda _: (
        (b"", "no container")
        if f"{CORE}/pods/v6-node-launcher-0" in cluster.objects
        else (json.dumps(ONLINE).encode(), "")
    )
    assert run("set-api-key", stdin=OTHER_KEY).exit_code == 0


def test_a_secret_of_helms_will_be_set_back_and_that_is_said(cluster: Cluster):
    cluster.put("/api/v1/namespaces", {"metadata": {"name": "v6-node"}})
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    cluster.put(f"{CORE}/secrets", {"metadata": {"name": "v6-node-key", "labels": labels}, "data": {}})
    done = run("set-api-key", stdin=OTHER_KEY)
    assert done.exit_code == 0 and "helm upgrade" in done.stderr


@pytest.mark.parametrize("text", ["", "no key", OTHER_KEY + "x"])
def test_what_is_no_key_is_not_written(cluster: Cluster, text: str):
    done = run("set-api-key", stdin=text)
    assert done.exit_code == 1 and "UUID" in done.stderr and not cluster.objects
