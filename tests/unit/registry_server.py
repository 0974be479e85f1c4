"""A small registry on loopback, with what real ones do: tokens, logins, refusals, outages, redirects."""

import base64
import contextlib
import hashlib

from aiohttp import web
from aiohttp.test_utils import TestServer

MANIFEST = b'{"schemaVersion": 2}'
DIGEST = "sha256:" + hashlib.sha256(MANIFEST).hexdigest()
LOGIN = "Basic " + base64.b64encode(b"node:hush").decode()


class FakeRegistry:
    """What is asked is in `asked`; how it answers is set by the attributes."""

    def __init__(self):
        self.asked = []
        self.challenge = ""  # "", "basic" or "bearer"
        self.public = False  # whether a token needs no login
        self.names_digests = True
        self.failures = 0  # answers of 503 before it serves
        self.realm = ""

    async def manifest(self, request):
        authorization = request.headers.get("Authorization", "")
        self.asked.append((request.method, request.path, authorization))
        if self.failures:
            self.failures -= 1
            return web.Response(status=503)
        if self.challenge == "basic" and authorization != LOGIN:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="here"'})
        if self.challenge == "bearer" and authorization != "Bearer good":
            realm = self.realm or str(request.url.with_path("/token"))
            terms = f'Bearer realm="{realm}",service="test",scope="repository:x:pull"'
            return web.json_response(
                {"errors": [{"code": "DENIED", "message": "not for you"}]},
                status=401,
                headers={"WWW-Authenticate": terms},
            )
        if not request.path.endswith("/manifests/1"):
            return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "no such tag"}]}, status=404)
        headers = {"Docker-Content-Digest": DIGEST} if self.names_digests else {}
        return web.Response(body=MANIFEST, headers=headers)

    async def token(self, request):
        self.asked.append(("token", request.query_string, request.headers.get("Authorization", "")))
        good = self.public or request.headers.get("Authorization") == LOGIN
        return web.json_response({"token": "good" if good else "bad"})


@contextlib.asynccontextmanager
async def registry(ssl=None):
    """A running one, and its host and port."""
    fake = FakeRegistry()
    app = web.Application()
    app.router.add_get("/v2/{name:.+}/manifests/{which}", fake.manifest)
    app.router.add_get("/token", fake.token)
    server = TestServer(app, scheme="https" if ssl else "http")
    await server.start_server(ssl=ssl)
    try:
        yield fake, f"127.0.0.1:{server.port}"
    finally:
        await server.close()
