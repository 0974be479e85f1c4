"""Being online at a vantage6 4.x server: a connection as soon as the last one ended, pings, and what was missed."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp

from launcher.backoff import Backoff
from launcher.connection import Connection
from launcher.session import Identity, ServerRefusal, ServerUnavailable
from launcher.session.rest import Rest
from launcher.session.v4_socket import Handler, NotConnected, Socket

log = logging.getLogger(__name__)

_FIRST_PING, _PING_EVERY = 5.0, 60.0
# Events are hints and can be lost: now and then the open runs are read again, and the configuration is shared again.
_SYNC_EVERY = 600.0
# Once more soon after a connection came: the server tells of a change before it is in its database, so that what was
# read meanwhile may be older than an event that nobody was there to hear.
_SYNC_AGAIN = 10.0
_SYNC_EVERY_DEAF = 20.0  # where the server tells of nothing, time after time


class Online:
    """One connection after another.

    Args:
        http: carries them.
        rest: has the token.
        server: scheme, host and port.
        identity: who is online.
        transport: what carries socket.io, `auto`, `polling` or `websocket`.
        connection: told whether the node is online.
        handlers: what is done about events, by name.
        greeting: message by which releases without the event `sync` tell who is connected.
        sync: reads the open runs, and tells what the node has to say of itself.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        rest: Rest,
        server: str,
        identity: Identity,
        *,
        transport: str,
        connection: Connection,
        handlers: Mapping[str, Handler],
        greeting: str,
        sync: Callable[[], Awaitable[None]],
    ) -> None:
        self.socket: Socket | None = None
        """The present connection, or the last one."""
        self.sync_wanted = asyncio.Event()
        """Set: something was missed."""
        self._http = http
        self._rest = rest
        self._server = server
        self._identity = identity
        self._transport = transport
        self._connection = connection
        self._handlers = handlers
        self._greeting = greeting
        self._sync = sync

    @property
    def live(self) -> bool:
        """Whether the server sees this node online."""
        return self.socket is not None and self.socket.live

    async def tell(self, event: str, data: dict[str, Any] | None = None) -> bool:
        """Send an event; returns whether there was a connection to send it through."""
        return self.socket is not None and await self.socket.tell(event, data)

    async def ask(self, event: str, data: dict[str, Any], within: float) -> bool:
        """Send an event; returns whether the server answered within so many seconds."""
        return self.socket is not None and await self.socket.ask(event, data, within)

    async def keep(self) -> None:
        """Connect, and connect again with a fresh token whenever the connection ends, for ever.

        Raises:
            LoginRefused: the server does not accept the node's key any more.
        """
        retry, renew = Backoff(), False
        while True:
            socket = self.socket = Socket(self._http, self._transport, self._handlers, self._greeting)
            try:
                if renew:
                    await self._rest.renew()
                await socket.connect(self._server, self._rest.headers)
                deaf = not await socket.hears()
                if deaf and not retry.failures:
                    raise NotConnected("The server did not let this node into its collaboration's room.")
                retry.succeeded()
                await self._be_online(socket, _SYNC_EVERY_DEAF if deaf else _SYNC_EVERY)
                self._connection.failed("The connection to the server ended.")
            except (NotConnected, ServerUnavailable) as error:
                retry.failed()
                self._connection.failed(str(error))
            finally:
                await socket.close()
            renew = socket.token_doubtful
            await asyncio.sleep(retry.seconds)

    async def _be_online(self, socket: Socket, sync_every: float) -> None:
        """Return when the connection ends."""
        log.info("online", extra={"fields": {"node": self._identity.name, "server": self._identity.server}})
        self._connection.came()
        async with asyncio.TaskGroup() as meanwhile:
            tasks = [meanwhile.create_task(self._ping(socket)), meanwhile.create_task(self._keep_in_step(sync_every))]
            await socket.ended()
            for task in tasks:
                task.cancel()

    async def _ping(self, socket: Socket) -> None:
        await asyncio.sleep(_FIRST_PING)
        while True:
            await socket.tell("ping")
            await asyncio.sleep(_PING_EVERY)

    async def _keep_in_step(self, every: float) -> None:
        """Have both sides know what is: at once, now and then, and when something was missed."""
        retry, waits = Backoff(), itertools.chain([min(_SYNC_AGAIN, every)], itertools.repeat(every))
        while True:
            self.sync_wanted.clear()
            try:
                await self._sync()
                retry.succeeded()
            except (ServerUnavailable, ServerRefusal) as error:
                log.warning("the open runs can't be read yet", extra={"fields": {"reason": str(error)}})
                await asyncio.sleep(retry.failed())
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(next(waits)):
                    await self.sync_wanted.wait()
