"""Stay, and let others try to get in."""

import selectors
import socket
import time
from typing import Any


def hold(seconds: float, port: int = 9000) -> dict[str, Any]:
    """Listen on `port` for so many seconds; returns the addresses of those who got in."""
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
                    connection.close()
    return {"visitors": visitors}
