"""A stand-in for the API server: what it is asked to list it has been given, and what it is asked to make it judges."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

# Group, version, plural, kind, namespaced: what the chart looks up.
RESOURCES = [
    ("", "v1", "namespaces", "Namespace", False),
    ("", "v1", "configmaps", "ConfigMap", True),
    ("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", False),
    ("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", False),
    ("resource.k8s.io", "v1", "resourceclaimtemplates", "ResourceClaimTemplate", True),
]
Judge = Callable[[str, Any], tuple[int, str]]


@dataclass
class ApiServer:
    """Names of objects by their plural, and what was asked."""

    kubeconfig: Path
    named: dict[str, list[str]]
    judge: Judge
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    def get(self, path: str) -> tuple[int, Any]:
        """The answer to a GET."""
        if path == "/version":
            return 200, {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
        if path == "/api":
            return 200, {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            groups = [(group, version) for group, version, *_ in RESOURCES if group]
            return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*one) for one in groups]}
        path = re.sub(r"/namespaces/[^/]+/", "/", path)
        for group, version, plural, kind, _ in RESOURCES:
            base = f"/apis/{group}/{version}" if group else f"/api/{version}"
            if path == base:
                return 200, _resources(group, version)
            if path == f"{base}/{plural}":
                api = f"{group}/{version}".strip("/")
                names = self.named.get(plural, [])
                items = [{"apiVersion": api, "kind": kind, "metadata": {"name": name}} for name in names]
                return 200, {"apiVersion": api, "kind": f"{kind}List", "metadata": {}, "items": items}
        return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


def _group(group: str, version: str) -> dict[str, Any]:
    one = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [one], "preferredVersion": one}


def _resources(group: str, version: str) -> dict[str, Any]:
    found = [
        {"name": plural, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]}
        for other, _, plural, kind, namespaced in RESOURCES
        if other == group
    ]
    return {"kind": "APIResourceList", "groupVersion": f"{group}/{version}".strip("/"), "resources": found}


@contextmanager
def api_server(
    folder: Path, named: dict[str, list[str]] | None = None, judge: Judge = lambda *_: (201, "")
) -> Iterator[ApiServer]:
    """Serve, with a kubeconfig in a folder."""
    state = ApiServer(folder / "kubeconfig", named or {}, judge)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(*state.get(self.path.partition("?")[0]))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            path, _, query = self.path.partition("?")
            state.asked.append((path, query, body))
            status, message = state.judge(path, body)
            self._answer(status, {"kind": "Status", "message": message} if message else body)

        def _answer(self, status: int, content: Any) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the base class's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cluster = {"name": "a", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "users": [{"name": "a", "user": {"token": "a"}}],
        "current-context": "a",
    }
    state.kubeconfig.write_text(yaml.safe_dump(kubeconfig))
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
