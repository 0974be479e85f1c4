"""A node's session with a real server, as tests hold it: opened, or online and listened to."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import socketio

from launcher.config.kubernetes import ServerAccess
from launcher.config.node import NodeSection
from launcher.connection import Connection
from launcher.encryption import Encrypted, Plain, encryption
from launcher.runs import Run
from launcher.serverconnection import http_session
from launcher.session.v4 import V4Session
from launcher.session.v4_socket import NAMESPACE
from tests.server.site import Site
from tests.stage.federation import Collaboration
from tests.stage.server import Server
from tests.stage.task import Task


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.lists: list[list[int]] = []
        self.new: list[Run] = []
        self.kills: list[list[int] | None] = []

    def open_runs(self, runs: list[Run]) -> None:
        self.lists.append([run.id for run in runs])

    def new_runs(self, runs: list[Run]) -> None:
        self.new.extend(runs)

    def killed(self, run_ids: list[int] | None, reason: str = "") -> None:
        self.kills.append(run_ids)


@dataclass
class Way:
    """How a session is held: with which server, over what, and in which kind of collaboration."""

    server: Server
    transport: str
    keys: list[Path] = field(default_factory=list)
    """The private keys of a collaboration's two organizations; none where it is not encrypted."""

    @property
    def encrypted(self) -> bool:
        return bool(self.keys)

    def cryptor(self, node: int = 0) -> Plain | Encrypted:
        return encryption(self.encrypted, self.keys[node] if self.encrypted else Path())

    def node_section(self, **more: Any) -> NodeSection:
        section = {"server_url": self.server.url, "port": self.server.port, "encryption": {"enabled": self.encrypted}}
        return NodeSection.model_validate(section | more)

    def session(
        self,
        http: aiohttp.ClientSession,
        api_key: str,
        connection: Connection | None = None,
        cryptor: Plain | Encrypted | None = None,
        **more: Any,
    ) -> V4Session:
        """The session of the collaboration's first node, unless it is given another's cryptor."""
        section, cryptor = self.node_section(**more), cryptor or self.cryptor()
        return V4Session(http, section, api_key, cryptor, transport=self.transport, connection=connection)

    @contextlib.asynccontextmanager
    async def opened(
        self, collaboration: Collaboration, node: int = 0, cryptor: Encrypted | None = None, **more: Any
    ) -> AsyncIterator[V4Session]:
        async with http_session(ServerAccess()) as http:
            api_key = collaboration.nodes[node].api_key
            session = self.session(http, api_key, cryptor=cryptor or self.cryptor(node), **more)
            await session.open()
            yield session

    @contextlib.asynccontextmanager
    async def online(
        self, collaboration: Collaboration, node: int = 0, **more: Any
    ) -> AsyncIterator[tuple[V4Session, Heard]]:
        async with self.opened(collaboration, node, **more) as session, kept_online(session) as heard:
            yield session, heard


@contextlib.asynccontextmanager
async def kept_online(session: V4Session) -> AsyncIterator[Heard]:
    heard = Heard()
    connected = asyncio.create_task(session.stay_connected(heard))
    try:
        await until(lambda: connected.done() or (session.online and heard.lists))
        if connected.done():
            connected.result()
        yield heard
    finally:
        connected.cancel()
        await asyncio.wait({connected})


async def until(condition: Callable[[], Any], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


async def send(collaboration: Collaboration, *, to: list[int] | None = None, **more: Any) -> Task:
    """Send a task to the nodes of these numbers; by default to the first."""
    receivers = [collaboration.nodes[number].organization for number in to or [0]]
    researcher = await asyncio.to_thread(collaboration.researcher)
    return await asyncio.to_thread(researcher.send, "localhost/none:1", "nothing", to=receivers, **more)


def forged(way: Way | Site, token: str, *, seconds: float = -10, secret: str | None = None) -> str:
    """The token, but valid until so many seconds from now, or signed with a secret of nobody."""
    claims = {**jwt.decode(token, options={"verify_signature": False}), "exp": int(time.time() + seconds)}
    return jwt.encode(claims, secret or way.server._state.jwt_secret, algorithm="HS256")


async def told(session: V4Session, event: str, payload: Any) -> None:
    """Let the session hear an event that the server does not send, as if it had."""
    assert session._online and session._online.socket
    await session._online.socket._client._trigger_event(event, NAMESPACE, payload)


@contextlib.asynccontextmanager
async def listening(way: Way, collaboration: Collaboration, **handlers: Callable[[Any], Any]) -> AsyncIterator[None]:
    """The administrator's own socket.io connection, as the web interface has one, in the collaboration's room."""
    joined = asyncio.Event()

    async def on_message(text: str) -> None:
        if text.endswith(f"joined room <collaboration_{collaboration.id}>"):
            joined.set()

    client = socketio.AsyncClient(reconnection=False)
    for event, handler in handlers.items():
        client.on(event, handler, namespace="/tasks")
    client.on("message", on_message, namespace="/tasks")
    server = f"{way.server.url}:{way.server.port}"
    # The library waits one second by default, which a loaded machine may need.
    headers = collaboration.federation.root.headers
    await client.connect(server, headers=headers, namespaces=["/tasks"], transports=["polling"], wait_timeout=30)
    try:
        # The server says that there is a connection before it has put it into the rooms of all collaborations.
        await until(joined.is_set)
        yield
    finally:
        await client.disconnect()
