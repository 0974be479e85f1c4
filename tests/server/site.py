"""One organization of a collaboration on a real server: its key, its researcher, its node's session and its proxy."""

import contextlib

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from launcher.config.node import NodeSection
from launcher.encryption import Plain
from launcher.session.v4 import V4Session
from proxy.app import application
from proxy.forward import Forwarder
from proxy.whose import Whose
from tests.unit.keys import encrypted


class Site:
    """One organization: its key, its researcher, its node's session and proxy."""

    def __init__(self, collaboration, account, folder, *, enabled=True, transport="polling"):
        self.collaboration, self.account = collaboration, account
        self.organization = account.organization
        self.enabled, self.transport = enabled, transport
        self.cryptor = encrypted(folder, str(account.organization.id)) if enabled else Plain()
        if enabled:
            collaboration.keys[account.organization.id] = folder / f"{account.organization.id}.pem"
        self.key = collaboration.keys.get(account.organization.id)
        self.server = collaboration.federation.server

    @contextlib.asynccontextmanager
    async def session(self, cryptor=None):
        section = {"server_url": self.server.url, "port": self.server.port, "encryption": {"enabled": self.enabled}}
        async with aiohttp.ClientSession() as http:
            session = V4Session(
                http,
                NodeSection.model_validate(section),
                self.account.api_key,
                cryptor or self.cryptor,
                transport=self.transport,
            )
            await session.open()
            yield session

    @contextlib.asynccontextmanager
    async def proxy(self, session, token, api=None):
        """A client of this site's proxy, as an algorithm with `token` has it; `api`: who stands before the server."""
        launcher = web.Application()

        async def identity(_):
            return web.json_response(self.told(session))

        launcher.router.add_get("/identity", identity)
        async with TestServer(launcher) as status, Forwarder(api or self.server.api) as forwarder:
            whose = Whose(str(status.make_url("")).rstrip("/"))
            async with TestServer(application(forwarder, whose, self.cryptor)) as proxy:
                headers = {"Authorization": f"Bearer {token}"}
                async with aiohttp.ClientSession(str(proxy.make_url("/")), headers=headers) as client:
                    yield client

    @staticmethod
    def told(session):
        """What the launcher tells the proxy of a session's node."""
        identity = session.identity
        return {name: getattr(identity, name) for name in ("node_id", "organization_id", "collaboration_id")}

    def researcher(self):
        return self.collaboration.researcher(self.organization)

    def public_key(self):
        return self.collaboration.federation.root.organization.get(self.organization.id)["public_key"]


async def read(answer, status=200):
    """The JSON of an answer that has to have this status."""
    body = await answer.json()
    assert answer.status == status, body
    return body
