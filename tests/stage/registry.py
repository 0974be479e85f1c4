"""An image registry in the cluster, on its machine's own network: containerd pulls from `localhost` by plain http.

As a program (`python registry.py PORT`, standard library only) it is the registry itself. Images are put into it by
plain PUTs; of the several digests that a tag may have, each look at the tag takes one away until the last is left.
"""

import base64
import json
import sys
import tarfile
import tempfile
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LOGIN = ("node", "sesame-of-the-registry")
PRIVATE = "private/"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_AUTHORIZATION = "Basic " + base64.b64encode(":".join(LOGIN).encode()).decode()


class _Registry(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    blobs = Path(tempfile.gettempdir()) / "blobs"
    tags: dict[str, list[str]] = {}  # noqa: RUF012  of all requests
    asked: list[list[str]] = []  # noqa: RUF012

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind, name = self.path[1:].split("/", 1)
        if kind == "blobs":
            (self.blobs / name).write_bytes(body)
        else:
            self.tags[name] = json.loads(body)
        self._answer(201, b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.path == "/asked":
            return self._answer(200, json.dumps(self.asked).encode())
        if self.path == "/v2/":
            return self._answer(200, b"{}")
        repository, kind, which = self.path.removeprefix("/v2/").rsplit("/", 2)
        authorization = self.headers.get("Authorization", "")
        self.asked.append([self.command, f"{repository}/{kind}/{which}", authorization and "with a login"])
        if repository.startswith(PRIVATE) and authorization != _AUTHORIZATION:
            return self._answer(401, b"{}", ("WWW-Authenticate", 'Basic realm="registry"'))
        digests = self.tags.get(f"{repository}:{which}", [which])
        digest = digests.pop(0) if len(digests) > 1 else digests[0]
        blob = self.blobs / digest
        if not blob.exists():
            return self._answer(404, b'{"errors": [{"code": "UNKNOWN", "message": "there is no such thing here"}]}')
        content = _MANIFEST if kind == "manifests" else "application/octet-stream"
        return self._answer(200, blob.read_bytes(), ("Docker-Content-Digest", digest), ("Content-Type", content))

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Registry:
    """The registry, from outside.

    Args:
        address: of the machine that it is on.
        port: of the registry.
    """

    def __init__(self, address: str, port: int) -> None:
        self.url = f"http://{address}:{port}"
        self.host = f"localhost:{port}"

    def push(self, archive: Path, *names: str) -> str:
        """Put the image of an OCI archive into it, under names such as `team/x:1`; returns its digest."""
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.name.startswith("blobs/sha256/") and member.isfile():
                    content = tar.extractfile(member)
                    assert content is not None
                    self._put(f"blobs/sha256:{member.name.rpartition('/')[2]}", content.read())
            index = tar.extractfile("index.json")
            assert index is not None
            digest = str(json.load(index)["manifests"][0]["digest"])
        for name in names:
            self.tag(name, digest)
        return digest

    def tag(self, name: str, *digests: str) -> None:
        """Have a tag mean each of the digests in turn, one look each, and the last for good."""
        self._put(f"tags/{name}", json.dumps(digests).encode())

    def asked(self, repository: str) -> list[Any]:
        """Return what was asked about a repository: method, path, whether with a login."""
        with urllib.request.urlopen(f"{self.url}/asked", timeout=10) as answer:
            return [each for each in json.load(answer) if each[1].startswith(f"{repository}/")]

    def _put(self, path: str, body: bytes) -> None:
        request = urllib.request.Request(f"{self.url}/{path}", data=body, method="PUT")
        urllib.request.urlopen(request, timeout=60).close()


def pod(name: str, image: str, port: int) -> list[dict[str, Any]]:
    """The objects that make it run, in a namespace that lets it use the machine's network."""
    program = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "/program/registry.py", str(port)],
        "readinessProbe": {"httpGet": {"path": "/v2/", "port": port}, "periodSeconds": 1},
        "volumeMounts": [{"name": "program", "mountPath": "/program"}],
    }
    spec = {
        "hostNetwork": True,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "program", "configMap": {"name": name}}],
    }
    return [
        {**program, "data": {"registry.py": Path(__file__).read_text()}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec},
    ]


if __name__ == "__main__":
    _Registry.blobs.mkdir(exist_ok=True)
    ThreadingHTTPServer(("", int(sys.argv[1])), _Registry).serve_forever()
