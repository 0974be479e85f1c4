"""One socket.io connection to a vantage6 4.x server; a new one is made each time, so that nothing of the last is left.

HTTP long polling is what the reference node uses, and passes every proxy that HTTP passes. Over a websocket the same
events come, and the server notices at once when the other side is gone; with polling that takes it 45 seconds.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import socketio
from engineio.payload import Payload
from socketio.exceptions import SocketIOError

log = logging.getLogger(__name__)

NAMESPACE = "/tasks"
Handler = Callable[[Any], Awaitable[None]]
_CONNECT_WITHIN = 60.0
_ANSWER_WITHIN = 30  # seconds for one request of the protocol; the library's 5 are few behind slow proxies
_GREETED_WITHIN = 30.0
_IN_ROOM_WITHIN = 10.0
_CLOSED_WITHIN = 5.0


# The library takes 16 messages in one answer to a poll for an attack, and ends the connection. A busy collaboration has
# more to tell at once: each task, and each change of every run, is told to all.
Payload.max_decode_packets = 2**16


class NotConnected(Exception):  # noqa: N818
    """The connection failed, ended before it could be used, or is anonymous; the message is a sentence."""


class Socket:
    """A connection, from `connect` to `close`.

    Args:
        http: carries it.
        transport: `polling`, `websocket`, or `auto`: polling, and a websocket as soon as one passes.
        handlers: what is done about events, by name; each gets the event's payload.
        greeting: message by which the server tells the collaboration, this node included, that the node is in its
            room. In releases without the event `sync` that is the only sign of being known.
    """

    def __init__(
        self, http: aiohttp.ClientSession, transport: str, handlers: Mapping[str, Handler], greeting: str
    ) -> None:
        self._transports = ["polling", "websocket"] if transport == "auto" else [transport]
        self._greeting = greeting
        self._unanswered: set[str] = set()
        self._connected, self._greeted = asyncio.Event(), asyncio.Event()
        self._in_room, self._ended = asyncio.Event(), asyncio.Event()
        self.token_doubtful = False
        """Whether the server said that it can't accept the token, or silently ignored it."""
        self._client = socketio.AsyncClient(
            reconnection=False, http_session=http, handle_sigint=False, request_timeout=_ANSWER_WITHIN
        )
        for event, handler in handlers.items():
            self._client.on(event, _guarded(event, handler), namespace=NAMESPACE)
        for event, noted in {
            "connect": self._on_connect,
            "sync": self._on_sync,
            "message": self._on_message,
            "expired_token": self._on_bad_token,
            "invalid_token": self._on_bad_token,
            "disconnect": self._on_disconnect,
        }.items():
            self._client.on(event, noted, namespace=NAMESPACE)

    @property
    def live(self) -> bool:
        """Whether the server sees the node online by this connection."""
        known = self._connected.is_set() and self._greeted.is_set()
        return known and bool(self._client.connected) and not self._ended.is_set()

    async def connect(self, server: str, headers: Mapping[str, str]) -> None:
        """Return when the server knows who is connected.

        Raises:
            NotConnected: it can't be reached, refuses the token, or never greets the node.
        """
        try:
            async with asyncio.timeout(_CONNECT_WITHIN):
                await self._client.connect(
                    server,
                    headers=dict(headers),
                    namespaces=[NAMESPACE],
                    transports=self._transports,
                    wait=False,  # for the namespace: release 4.0.0 never answers to a token that it can't read
                )
        except TimeoutError:
            raise NotConnected(f"No socket.io connection to {server} within {_CONNECT_WITHIN:.0f} seconds.") from None
        except (SocketIOError, aiohttp.ClientError, OSError) as error:
            means = " or ".join(self._transports)
            raise NotConnected(
                f"No socket.io connection to {server} by {means}: {error or type(error).__name__}."
            ) from error
        # A connection whose token the server could not read is accepted and ignored: only its greeting proves it works.
        waiting = [asyncio.create_task(self._usable()), asyncio.create_task(self._ended.wait())]
        try:
            await asyncio.wait(waiting, timeout=_GREETED_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
        if self.token_doubtful:
            raise NotConnected("The server does not accept the token; a new one is asked for.")
        if not self.live:
            self.token_doubtful = True
            raise NotConnected(f"The server at {server} did not greet this node, so it does not know who is connected.")

    async def _usable(self) -> None:
        # In either order: release 4.0.0 greets before it says that there is a connection.
        await self._greeted.wait()
        await self._connected.wait()

    async def hears(self) -> bool:
        """Whether the node is in its collaboration's room, where tasks are told; waits some seconds for it.

        The server says `sync` first, and may fail before the node is in the room (4.15.2, while another node
        disconnects): the node is then online and deaf.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_IN_ROOM_WITHIN):
                await self._in_room.wait()
        return self._in_room.is_set()

    async def ended(self) -> None:
        """Return when the connection ends."""
        # Not the client's own wait(): cancelled while a connection ends, it goes on as if nothing had been said.
        await self._ended.wait()

    async def tell(self, event: str, data: Mapping[str, Any] | None = None) -> bool:
        """Send an event; returns whether there was a connection to send it over."""
        try:
            await self._client.emit(event, data, namespace=NAMESPACE)
        except SocketIOError:
            return False
        return True

    async def ask(self, event: str, data: Mapping[str, Any], seconds: float) -> bool:
        """Send an event and wait for the server's answer; returns whether there was one.

        A server of a release that does not know the event answers nothing. Of an event that was not answered once no
        answer is waited for again, as long as this connection lasts.
        """
        if event in self._unanswered:
            return False
        try:
            await self._client.call(event, data, namespace=NAMESPACE, timeout=seconds)
        except socketio.exceptions.TimeoutError:
            self._unanswered.add(event)
            log.warning("the server does not answer to an event", extra={"fields": {"event_name": event}})
            return False
        except SocketIOError:
            return False
        return True

    async def close(self) -> None:
        """End the connection, within some seconds even if the other side keeps silent."""
        engine = self._client.eio
        try:
            async with asyncio.timeout(_CLOSED_WITHIN):
                if self._client.connected:
                    # While a request is under way the library takes no leave, and waits for the server's next word.
                    await engine.queue.join()
                await self._client.disconnect()
        except TimeoutError:
            await engine.disconnect(abort=True)
            for task in (engine.read_loop_task, engine.write_loop_task):
                if task is not None:
                    task.cancel()

    async def _on_connect(self) -> None:
        self._connected.set()

    async def _on_sync(self) -> None:
        self._greeted.set()

    async def _on_message(self, text: Any) -> None:
        if text == self._greeting:
            self._in_room.set()
            self._greeted.set()
        log.debug("the server says", extra={"fields": {"message": str(text)[:500]}})

    async def _on_bad_token(self) -> None:
        # The connection stays, but anonymous: of no use.
        self.token_doubtful = True
        self._ended.set()

    async def _on_disconnect(self, _: str) -> None:
        self._ended.set()


def _guarded(event: str, handler: Handler) -> Callable[..., Awaitable[None]]:
    """A payload that is not as expected is said, and harms nothing."""

    async def call(payload: Any = None) -> None:
        try:
            await handler(payload)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            log.warning(
                "an event of the server is not as vantage6 4.x sends it, and was passed over",
                extra={"fields": {"event_name": event, "reason": repr(error), "payload": str(payload)[:500]}},
            )

    return call
