"""The API server, asked by one service account over one connection: fast enough for hundreds of dry runs."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.stage.kube import Kubectl


@dataclass(frozen=True)
class Answer:
    """What the API server says."""

    status: int
    """HTTP status."""
    message: str
    """Why it refuses; empty if it does not."""
    body: dict[str, Any]
    """The object, or a Status."""


class ApiSession:
    """Requests with a service account's own token.

    Args:
        kubectl: the cluster.
        namespace: of the account.
        account: whose token is used.
        folder: where the cluster's certificate authority is kept.
    """

    def __init__(self, kubectl: Kubectl, namespace: str, account: str, folder: Path) -> None:
        config = json.loads(kubectl("config", "view", "--minify", "--raw", "--output", "json"))
        cluster = config["clusters"][0]["cluster"]
        self._server = cluster["server"]
        self._session = requests.Session()
        self._session.trust_env = False  # proxies and certificates of the environment are for elsewhere
        self._session.headers["Authorization"] = f"Bearer {kubectl('create', 'token', account, namespace=namespace)}"
        if "certificate-authority-data" in cluster:
            authority = folder / "ca.crt"
            authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
            self._session.verify = str(authority)
        elif "certificate-authority" in cluster:
            self._session.verify = cluster["certificate-authority"]

    def ask(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", dry_run: bool = True
    ) -> Answer:
        """One request; nothing is changed unless `dry_run` is false."""
        query = {"dryRun": "All"} if dry_run and method != "GET" else {}
        data = None if body is None else json.dumps(body)
        answer = self._session.request(
            method, f"{self._server}{path}", params=query, data=data, headers={"Content-Type": kind}, timeout=30
        )
        found = answer.json() if answer.headers.get("Content-Type", "").startswith("application/json") else {}
        message = str(found.get("message", answer.text)) if answer.status_code >= 400 else ""
        return Answer(answer.status_code, message, found)
