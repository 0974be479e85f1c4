"""Calls to the Kubernetes API server with plain trees.

The typed client is passed by: it drops fields that it does not know (an admin's template may use newer ones)
and parses every object twice.
"""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException

from launcher.metrics import KUBERNETES, KUBERNETES_SECONDS

Tree = dict[str, Any]
JSON, APPLY = "application/json", "application/apply-patch+yaml"

_CALL = aiohttp.ClientTimeout(total=60, sock_connect=10)
# A stream may be silent for long, but a dead connection must be noticed.
_STREAM = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=330)
# An algorithm may be silent for hours; what a dead connection lost is read again at the algorithm's end.
_LOG = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=4 * 3600)
_LOG_SO_FAR = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=20)


class ClusterUnavailable(Exception):  # noqa: N818  a condition that passes
    """The API server can't be reached or can't do it now: try again later."""


class ApiRefusal(Exception):  # noqa: N818
    """The API server said no; `status` is the HTTP status, the message the server's own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class KubeApi:
    """The API server, with the pod's own service account, whose token is read anew as it is renewed."""

    def __init__(self) -> None:
        config.load_incluster_config()  # type: ignore[no-untyped-call]
        configuration = client.Configuration.get_default_copy()
        # Every run's log is a connection of its own: were they limited, other calls would have to wait for one.
        configuration.connection_pool_maxsize = 0
        self._client = client.ApiClient(configuration)

    async def call(
        self, method: str, path: str, query: Tree | None = None, body: Tree | None = None, *, content_type: str = JSON
    ) -> Tree:
        """Call the API server and return the tree that it answers.

        Raises:
            ApiRefusal: the answer is 4xx.
            ClusterUnavailable: no answer, 5xx or 429.
        """
        async with self._answer(method, path, query, body, _CALL, content_type=content_type) as response:
            return dict(json.loads(await response.read()))

    async def lines(self, path: str, query: Tree) -> AsyncIterator[bytes]:
        """The lines of an answer as they arrive; raises like `call`."""
        async with self._answer("GET", path, query, None, _STREAM) as response:
            while line := await response.content.readline():
                yield line

    async def chunks(self, path: str, query: Tree) -> AsyncIterator[bytes]:
        """The bytes of a log as they arrive; raises like `call`."""
        async with self._answer("GET", path, query, None, _LOG if "follow" in query else _LOG_SO_FAR) as response:
            async for chunk in response.content.iter_any():
                yield chunk

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        query: Tree | None,
        body: Tree | None,
        limits: aiohttp.ClientTimeout,
        *,
        content_type: str = JSON,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        verb, begun, answered = _verb(method, path, query or {}), time.monotonic(), False
        try:
            request = await self._client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={"Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            answer = await self._client.call_api(*request, _request_timeout=limits, _preload_content=False)
            async with answer.response as response:
                answered = True
                KUBERNETES.labels(verb, response.status).inc()
                KUBERNETES_SECONDS.labels(verb).observe(time.monotonic() - begun)
                if response.status >= 400:
                    raise _refusal(response.status, await response.text())
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError, ApiException, ValueError) as error:
            if not answered:
                KUBERNETES.labels(verb, "none").inc()
            raise ClusterUnavailable(f"{method} {path}: {error or type(error).__name__}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]


def _verb(method: str, path: str, query: Tree) -> str:
    """What a request does, in Kubernetes' own words; `log` is the reading of one.

    See https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb
    """
    if method != "GET":
        return {"POST": "create", "PATCH": "patch", "DELETE": "delete"}[method]
    if path.endswith("/log"):
        return "log"
    if "watch" in query:
        return "watch"
    _, _, below = path.partition("/namespaces/")
    return "list" if below.count("/") == 1 else "get"


def _refusal(status: int, text: str) -> Exception:
    try:
        message = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        message = text[:500]
    # 401 passes too: the service account's token is renewed under our feet.
    if status >= 500 or status in {401, 429}:
        return ClusterUnavailable(f"the API server answered {status}: {message}")
    return ApiRefusal(status, message)
