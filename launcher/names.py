"""The addresses of names, asked of the cluster's DNS."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

LookUp = Callable[[str], Awaitable[tuple[str, ...]]]

_FRESH = 1.0  # seconds; the cluster's DNS, CoreDNS, has answers kept for five


async def look_up(name: str) -> tuple[str, ...]:
    """Every address of a name, IPv4 and IPv6, in the resolver's order.

    Raises:
        OSError: it has none, or the DNS does not answer.
    """
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


class OneQuestion:
    """Looks names up, with one question for all who want the same name at a time: runs come in bursts.

    Args:
        look_up: asks.
        clock: seconds, never going back.
    """

    def __init__(self, look_up: LookUp = look_up, clock: Callable[[], float] = time.monotonic) -> None:
        self._look_up = look_up
        self._clock = clock
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def __call__(self, name: str) -> tuple[str, ...]:
        """The addresses of a name, as they were at most a second ago; raises what `look_up` raises."""
        async with self._asking.setdefault(name, asyncio.Lock()):
            asked, found = self._known.get(name, (float("-inf"), ()))
            if self._clock() - asked >= _FRESH:
                found = await self._look_up(name)
                self._known[name] = (self._clock(), found)
            return found
