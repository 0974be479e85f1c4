"""One organization of a collaboration on a real server: its researcher, its node's session and its proxy."""

import contextlib

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy.app import application
from proxy.forward import Forwarder
from proxy.whose import Whose


class Site:
    """An organization, by the number of its node in the collaboration."""

    def __init__(self, way, collaboration, node=0):
        self.way, self.collaboration, self.node = way, collaboration, node
        self.organization = collaboration.nodes[node].organization
        self.cryptor = way.cryptor(node)

    def session(self, cryptor=None):
        return self.way.opened(self.collaboration, self.node, cryptor or self.cryptor)

    @contextlib.asynccontextmanager
    async def proxy(self, session, token):
        """A client of this site's proxy, as an algorithm with `token` has it."""
        identity = session.identity
        told = {
            "node_id": identity.node_id,
            "organization_id": identity.organization_id,
            "collaboration_id": identity.collaboration_id,
        }
        launcher = web.Application()

        async def identity(_):
            return web.json_response(told)

        launcher.router.add_get("/identity", identity)
        async with TestServer(launcher) as status, Forwarder(self.way.server.api) as forwarder:
            whose = Whose(str(status.make_url("")).rstrip("/"))
            async with TestServer(application(forwarder, whose, self.cryptor)) as proxy:
                headers = {"Authorization": f"Bearer {token}"}
                async with aiohttp.ClientSession(str(proxy.make_url("/")), headers=headers) as client:
                    yield client

    def researcher(self):
        return self.collaboration.researcher(self.organization)

    def public_key(self):
        return self.collaboration.federation.root.organization.get(self.organization.id)["public_key"]
