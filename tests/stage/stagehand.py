"""A pod that nothing restricts, for what a test needs done in the cluster: files on its disks, control probes."""

import json
import textwrap
from types import TracebackType
from typing import Any

from tests.stage import StageError
from tests.stage.kube import STAGE_LABEL, Kubectl

POD = "stagehand"
HOST_MOUNT = "/host-tmp"
READY_SECONDS = 120


class Stagehand:
    """A long-living Python (with pandas) in a namespace of its own, as root, with its machine's /tmp.

    Args:
        kubectl: the cluster.
        namespace: name of the namespace to make for it; a folder of that name in the machine's /tmp is its scratch.
        image: one of the algorithm images.
        owner: value of the namespace's label that says whose it is.
    """

    def __init__(self, kubectl: Kubectl, namespace: str, image: str, owner: str) -> None:
        self.kubectl = kubectl
        self.namespace = namespace
        self._image = image
        self._owner = owner
        self.folder = f"/tmp/{namespace}"
        self._inside = f"{HOST_MOUNT}/{namespace}"

    def __enter__(self) -> "Stagehand":
        # It makes files on the machine's own disk, which takes a hostPath. No node under test is ever in here.
        labels = {STAGE_LABEL: self._owner, "pod-security.kubernetes.io/enforce": "privileged"}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}}
        self.kubectl.apply(namespace, self._pod())
        ready = ("wait", "--for=condition=Ready", f"pod/{POD}", f"--timeout={READY_SECONDS}s")
        try:
            self.kubectl(*ready, namespace=self.namespace, seconds=READY_SECONDS + 10)
        except StageError as error:
            raise StageError(f"{error}\n{self.kubectl.story(self.namespace)}") from error
        self.python(f"import pathlib; pathlib.Path({self._inside!r}).mkdir()")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.python(f"import shutil; shutil.rmtree({self._inside!r})")
        self.kubectl("delete", "namespace", self.namespace, "--wait=false")

    @property
    def machine(self) -> str:
        """The name of the cluster's machine that it runs on, which its files are on."""
        pod = self.kubectl.get("pod", POD, namespace=self.namespace)
        return str(pod["spec"]["nodeName"])

    def python(self, code: str) -> Any:
        """Run Python there and return the value that it prints as JSON (None if it prints nothing)."""
        said = self.kubectl(
            "exec", "-i", POD, "--", "python", "-", namespace=self.namespace, stdin=textwrap.dedent(code)
        )
        return json.loads(said) if said.strip() else None

    def table(self, name: str, rows: dict[str, list[float]]) -> str:
        """Write a table as the kind of file its name ends in: .csv, .parquet or .xlsx.

        Returns:
            Its path on the machine. The file is of 2001, belongs to nobody the node knows, and its mode lets everybody
            write: if an algorithm can't, that is not because of the mode.
        """
        writers = {"csv": "to_csv", "parquet": "to_parquet", "xlsx": "to_excel"}
        self.python(f"""
            import json, os, pathlib, pandas
            path = pathlib.Path({self._inside!r}) / {name!r}
            path.parent.mkdir(parents=True, exist_ok=True)
            pandas.DataFrame(json.loads({json.dumps(rows)!r})).{writers[name.rpartition(".")[2]]}(path, index=False)
            os.chmod(path, 0o666)
            os.chmod(path.parent, 0o777)
            os.chown(path, 1234, 5678)
            os.utime(path, (1_000_000_000, 1_000_000_000))
        """)
        return f"{self.folder}/{name}"

    def facts(self, path: str) -> dict[str, Any]:
        """Return owner, group, mode, size, time of change and digest of a file on the machine."""
        facts = self.python(f"""
            import hashlib, json, pathlib
            path = pathlib.Path({HOST_MOUNT!r}) / pathlib.Path({path!r}).relative_to("/tmp")
            status = path.stat()
            facts = dict(uid=status.st_uid, gid=status.st_gid, mode=oct(status.st_mode), bytes=status.st_size)
            facts |= dict(mtime=status.st_mtime_ns, digest=hashlib.sha256(path.read_bytes()).hexdigest())
            print(json.dumps(facts))
        """)
        return dict(facts)

    def reach(self, targets: list[dict[str, Any]]) -> list[str]:
        """Try the connections that the algorithm `behave` tries, with its own code; return how each ended."""
        tried = self.python(f"""
            import contextlib, io, json
            from behave.surroundings import reach
            with contextlib.redirect_stdout(io.StringIO()):
                tried = reach({targets!r})
            print(json.dumps(tried))
        """)
        return [each["outcome"] for each in tried]

    def _pod(self) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": POD, "namespace": self.namespace},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [
                    {
                        "name": POD,
                        "image": self._image,
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["sleep", "infinity"],
                        "volumeMounts": [{"name": "tmp", "mountPath": HOST_MOUNT}],
                    }
                ],
                "volumes": [{"name": "tmp", "hostPath": {"path": "/tmp"}}],
            },
        }
