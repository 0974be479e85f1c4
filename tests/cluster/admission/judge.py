"""The API server as judge of Jobs, by dry runs."""

import re
from typing import Any

from tests.stage.apisession import Answer, ApiSession
from tests.stage.node import Node


class Judge:
    """Dry runs of Jobs in a node's namespace.

    Args:
        session: with the launcher's token.
        pods: with that of an account that may make pods, which the launcher may not.
        node: whose namespace it is.
    """

    def __init__(self, session: ApiSession, pods: ApiSession, node: Node) -> None:
        self._session = session
        self._pods = pods
        self._pods_path = f"/api/v1/namespaces/{node.namespace}/pods"
        self._path = f"/apis/batch/v1/namespaces/{node.namespace}/jobs"

    def says(self, manifest: Any) -> str:
        """Why the API server refuses a Job; empty if it does not."""
        answer = self._session.ask("POST", self._path, manifest)
        assert answer.status in {201, 400, 403, 422}, answer
        return answer.message

    def accepts(self, manifest: Any) -> bool:
        """Whether the API server would make the Job, and its pod: what is malformed shows nothing of the policies."""
        return self.says(manifest) == "" and self._pod(manifest).status == 201

    def denies(self, manifest: Any) -> str:
        """What the admission policy says of a Job; empty if it lets it through."""
        found = re.search(r"denied request: (.*)", self.says(manifest))
        return found[1] if found else ""

    def violates_pod_security(self, manifest: Any) -> str:
        """What the Pod Security Standard of the namespace says of a Job's pod; empty if it lets it through."""
        found = re.search(r"violates PodSecurity (.*)", self._pod(manifest).message)
        return found[1] if found else ""

    def _pod(self, manifest: Any) -> Answer:
        template = manifest["spec"]["template"]
        metadata = {"generateName": "judged-", "labels": template["metadata"].get("labels") or {}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        answer = self._pods.ask("POST", self._pods_path, pod)
        assert answer.status in {201, 400, 403, 422}, answer
        return answer
