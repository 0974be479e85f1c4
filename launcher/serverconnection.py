"""How launcher and proxy get to the vantage6 server: whose certificates they believe, and through which HTTP proxy.

Which HTTP proxy it is, the environment says (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), as it does for most programs. A
socket.io connection over websockets is one to `ws:` or `wss:`, for which aiohttp looks into WS_PROXY and WSS_PROXY.
"""

import ssl
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from launcher.config import ConfigError
from launcher.config.kubernetes import ServerAccess

_PORTS = {"http": 80, "https": 443}


def believing(access: ServerAccess) -> ssl.SSLContext:
    """What a server's certificate is checked with: the system's authorities, and the site's own.

    Raises:
        ConfigError: the file with the site's authorities can't be used.
    """
    context = ssl.create_default_context()
    if access.ca:
        try:
            context.load_verify_locations(access.ca)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(
                f"network.server.ca: {access.ca} has no certificate in PEM form that can be used ({error}); give the "
                "text of the authority that signed the server's certificate, from -----BEGIN CERTIFICATE----- on."
            ) from error
    return context


def http_session(access: ServerAccess, **more: Any) -> aiohttp.ClientSession:
    """A session that carries calls to the server, and its socket.io.

    Args:
        access: how to get to the server.
        more: further arguments of the session; `connector` may be a dict of the connector's.

    Raises:
        ConfigError: the file with the site's authorities can't be used.
    """
    connector = aiohttp.TCPConnector(ssl=believing(access), **more.pop("connector", {}))
    # To trust the environment costs aiohttp two turns of a thread for each call: only where it has something to say.
    return aiohttp.ClientSession(connector=connector, trust_env=bool(getproxies()), **more)


def first_hop(server: str) -> tuple[str, int]:
    """The host and port that a call to the server connects to: the HTTP proxy's where there is one, else its own.

    Args:
        server: scheme, host and port of the server.
    """
    url = URL(server)
    proxy = getproxies().get(url.scheme)
    there = url if proxy is None or proxy_bypass(url.host or "") else URL(proxy)
    return there.host or "", there.port or _PORTS[url.scheme]
