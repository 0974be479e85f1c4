"""Stay, and let others try to get in."""

import contextlib
import selectors
import socket
import time
from typing import Any

ENOUGH = b"enough"
_SAYS_WITHIN = 1.0


def hold(seconds: float, port: int = 9000) -> dict[str, Any]:
    """Listen on `port` for so many seconds, or until a visitor says `enough`; returns the addresses of who got in."""
    visitors = []
    until = time.monotonic() + seconds
    with socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True) as listening:
        listening.setblocking(False)
        with selectors.DefaultSelector() as waiting:
            waiting.register(listening, selectors.EVENT_READ)
            while (left := until - time.monotonic()) > 0:
                if waiting.select(left):
                    connection, visitor = listening.accept()
                    visitors.append(visitor[0])
                    if said(connection) == ENOUGH:
                        break
    return {"visitors": visitors}


def said(connection: socket.socket) -> bytes:
    """What a visitor says before it is shown out."""
    with connection, contextlib.suppress(OSError):
        connection.settimeout(_SAYS_WITHIN)
        return connection.recv(len(ENOUGH))
    return b""
