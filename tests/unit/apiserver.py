"""A stand-in for the API server: it keeps trees, selects by labels, runs programs as a test says, and takes notes."""

import asyncio
import base64
import json
import re
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from launcher.kubeapi import Tree

_COLLECTION = re.compile(r"(/api/v1|/apis/[^/]+/[^/]+)(/namespaces/(?P<namespace>[^/]+))?/(?P<kind>[a-z]+)$")

Program = Callable[[list[str]], tuple[bytes, str]]
"""What a program in a container prints; and why it failed, or nothing."""


class ApiServer:
    """Objects by path; whatever a test wants otherwise is in `refuse`, `on_create`, `program` and `logs`."""

    def __init__(self) -> None:
        self.objects: dict[str, Tree] = {}
        self.refuse: dict[str, int] = {}
        """Status by a regular expression over `METHOD path`."""
        self.on_create: Callable[[str, Tree], None] = lambda path, thing: None
        """Told the path of what was made; may change it, as a controller would."""
        self.on_delete: Callable[[str], None] = lambda path: None
        """Told the path of what went."""
        self.program: Program = lambda command: (b"", "there is no such program")
        self.ends_early = False
        """Whether connections to programs break off."""
        self.logs: dict[str, bytes] = {}
        """By the pod's name."""
        self.asked: list[tuple[str, str, Any]] = []
        """Method, path and body."""

    def put(self, collection: str, *things: Tree) -> None:
        namespace = _COLLECTION.fullmatch(collection)["namespace"]  # type: ignore[index]
        for thing in things:
            meta = thing.setdefault("metadata", {})
            meta.setdefault("uid", str(uuid.uuid4()))
            meta.setdefault("creationTimestamp", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
            if namespace:
                meta["namespace"] = namespace
            self.objects[f"{collection}/{meta['name']}"] = _encoded(thing)

    def of(self, kind: str) -> list[Tree]:
        return [thing for path, thing in self.objects.items() if path.split("/")[-2] == kind]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        body = json.loads(await request.read() or b"null") if request.method != "GET" else None
        self.asked.append((request.method, path, body))
        for pattern, status in self.refuse.items():
            if re.fullmatch(pattern, f"{request.method} {path}"):
                return _status(status, f"{request.method} {path} is refused")
        if path.endswith(("/exec", "/log")):
            return await self._of_a_pod(path, request)
        if path in {"/version", "/api"}:
            return web.json_response({"major": "1", "minor": "34", "gitVersion": "v1.34.1"})
        if request.method == "GET":
            return self._get(path, request)
        if path.endswith("reviews"):  # a question, of which nothing is kept
            self.on_create(path, body)
            return web.json_response(body, status=201)
        return await self._change(request.method, path, body, request)

    async def _of_a_pod(self, path: str, request: web.Request) -> web.StreamResponse:
        if path.endswith("/log"):
            return web.Response(body=self.logs.get(path.split("/")[-2], b""))
        return await self._execute(request)

    def _get(self, path: str, request: web.Request) -> web.StreamResponse:
        if path in self.objects:
            return web.json_response(self.objects[path])
        collection = _COLLECTION.fullmatch(path)
        if not collection:
            return _status(404, f"{path} not found")
        selector, fields = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
        found = [
            thing
            for there, thing in self.objects.items()
            if _is_in(there, path, collection) and _selected(thing, selector) and _fields(thing, fields)
        ]
        return web.json_response({"items": found})

    async def _change(self, method: str, path: str, body: Tree, request: web.Request) -> web.StreamResponse:
        if method == "POST":
            name = body["metadata"].get("name") or body["metadata"]["generateName"] + uuid.uuid4().hex[:5]
            body["metadata"]["name"] = name
            if f"{path}/{name}" in self.objects:
                return _status(409, f"{name} already exists")
            if "dryRun" not in request.query:
                self.put(path, body)
                self.on_create(f"{path}/{name}", self.objects[f"{path}/{name}"])
            return web.json_response(body, status=201)
        if method == "DELETE":
            if path not in self.objects:
                return self._delete_collection(path, request)
            self._remove(path)
            self.on_delete(path)
            return web.json_response({"kind": "Status", "status": "Success"})
        if path not in self.objects:
            if "apply" not in request.headers["Content-Type"]:
                return _status(404, f"{path} not found")
            self.put(path.rsplit("/", 1)[0], body)
        self.objects[path] = _merged(self.objects[path], _encoded(body))
        return web.json_response(self.objects[path])

    def _delete_collection(self, path: str, request: web.Request) -> web.StreamResponse:
        collection = _COLLECTION.fullmatch(path)
        if not collection:
            return _status(404, f"{path} not found")
        selector = request.query.get("labelSelector", "")
        for there in [each for each in self.objects if _is_in(each, path, collection)]:
            if _selected(self.objects[there], selector):
                self._remove(there)
        return web.json_response({"kind": "Status", "status": "Success"})

    def _remove(self, path: str) -> None:
        del self.objects[path]
        if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:
            inside = f"/namespaces/{path.rsplit('/', 1)[1]}/"
            self.objects = {each: thing for each, thing in self.objects.items() if inside not in each}

    async def _execute(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        out, failure = self.program(request.query.getall("command"))
        await socket.send_bytes(b"\x01" + out)
        if failure:
            await socket.send_bytes(b"\x02" + failure.encode())
        if self.ends_early:
            await socket.close()
            return socket
        end = {"status": "Failure", "message": "exit code 1"} if failure else {"status": "Success"}
        await socket.send_bytes(b"\x03" + json.dumps(end).encode())
        await socket.close()
        return socket

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self.handle)
        async with TestServer(app) as server:
            yield str(server.make_url("")).rstrip("/")


class Threaded(ApiServer):
    """The same in a thread of its own, for commands, which have their own event loop.

    Args:
        folder: where the kubeconfig is kept.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self.serving() as url:
            self.kubeconfig = kubeconfig(self._folder, url)
            self._ready.set()
            await self._stop.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


def kubeconfig(folder: Path, url: str) -> Path:
    file = folder / "kubeconfig"
    tree = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {"token": "secret"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    }
    file.write_text(yaml.safe_dump(tree))
    return file


def _status(code: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "status": "Failure", "message": message, "code": code}, status=code)


def _is_in(path: str, collection: str, parsed: "re.Match[str]") -> bool:
    if parsed["namespace"]:
        return path.rsplit("/", 1)[0] == collection
    found = _COLLECTION.fullmatch(path.rsplit("/", 1)[0])
    return bool(found) and (found[1], found["kind"]) == (parsed[1], parsed["kind"])  # type: ignore[index]


def _selected(thing: Tree, selector: str) -> bool:
    labels = thing["metadata"].get("labels") or {}
    for part in re.split(r",(?![^(]*\))", selector) if selector else ():
        if within := re.fullmatch(r"(\S+) in \((.*)\)", part):
            if labels.get(within[1]) not in within[2].split(","):
                return False
        elif "=" in part:
            name, _, value = part.partition("=")
            if labels.get(name) != value:
                return False
        elif part not in labels:
            return False
    return True


def _fields(thing: Tree, selector: str) -> bool:
    for part in selector.split(",") if selector else ():
        name, _, value = part.partition("=")
        found: Any = thing
        for step in name.split("."):
            found = found.get(step) if isinstance(found, dict) else None
        if str(found) != value:
            return False
    return True


def _merged(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}


def _encoded(secret: Tree) -> Tree:
    """Texts of a Secret as the API server keeps them."""
    texts = secret.get("stringData") or {}
    rest = {key: value for key, value in secret.items() if key != "stringData"}
    if texts:
        rest["data"] = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return rest
