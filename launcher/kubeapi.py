"""Calls to the Kubernetes API server with plain trees.

The typed client is passed by: it drops fields that it does not know (an admin's template may use newer ones)
and parses every object twice.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException

from launcher.metrics import KUBERNETES, KUBERNETES_SECONDS
from launcher.pace import Pace

Tree = dict[str, Any]
JSON, APPLY = "application/json", "application/apply-patch+yaml"

_CALL = aiohttp.ClientTimeout(total=60, sock_connect=10)
# A stream may be silent for long, but a dead connection must be noticed.
_STREAM = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=330)
# An algorithm may be silent for hours; what a dead connection lost is read again at the algorithm's end.
_LOG = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=4 * 3600)
_LOG_SO_FAR = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=20)
# What makes or changes something. Kubernetes' own controllers allow themselves 20 calls a second by default, so a Job
# that comes sooner would only wait elsewhere; a site's few hundred tasks at once pass as they come.
_PACED, _PER_SECOND, _BURST = {"POST", "PATCH"}, 50.0, 200
_TOO_MANY = 429
_TRIES_WHEN_BUSY, _LONGEST_HOLD = 5, 30.0


class ClusterUnavailable(Exception):  # noqa: N818  a condition that passes
    """The API server can't be reached or can't do it now: try again later.

    Args:
        message: what was asked, and why there is no answer.
        retry_after: seconds for which the API server asked not to be asked again.
        busy: whether it did nothing because it has too much to do (429).
    """

    def __init__(self, message: str, retry_after: float = 0.0, *, busy: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.busy = busy


class ApiRefusal(Exception):  # noqa: N818
    """The API server said no; `status` is the HTTP status, the message the server's own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class KubeApi:
    """The API server.

    Args:
        configuration: address and credentials; None: those of the pod's own service account, whose token is read anew
            as it is renewed.
    """

    def __init__(self, configuration: client.Configuration | None = None) -> None:
        if configuration is None:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
            configuration = client.Configuration.get_default_copy()
            # From a pod it is reached directly. To find out, aiohttp would ask the environment and a .netrc file before
            # each call, by threads that wait behind those that write the runs' files.
            configuration.client_session_kwargs = {"trust_env": False}
        self.configuration = configuration
        # Every run's log is a connection of its own: were they limited, other calls would have to wait for one.
        configuration.connection_pool_maxsize = 0
        self._client = client.ApiClient(configuration)
        self._pace = Pace(_PER_SECOND, _BURST)

    async def call(
        self, method: str, path: str, query: Tree | None = None, body: Tree | None = None, *, content_type: str = JSON
    ) -> Tree:
        """Call the API server and return the tree that it answers.

        Where it has too much to do (429, https://kubernetes.io/docs/concepts/cluster-administration/flow-control/), the
        call is made again when it said, and nothing else is made or changed before.

        Raises:
            ApiRefusal: the answer is 4xx.
            ClusterUnavailable: no answer, 5xx, or 429 time after time.
        """
        for tries in range(_TRIES_WHEN_BUSY, -1, -1):
            if method in _PACED:
                await self._pace.turn()
            try:
                async with self._answer(method, path, query, body, _CALL, content_type=content_type) as response:
                    return dict(orjson.loads(await response.read()))
            except ClusterUnavailable as error:
                if error.busy:
                    self._pace.hold(error.retry_after)
                if not (error.busy and tries):
                    raise
                await asyncio.sleep(error.retry_after)
        raise AssertionError

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
                    raise _refusal(response.status, await response.text(), response.headers.get("Retry-After", ""))
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError, ApiException, ValueError) as error:
            if not answered:
                KUBERNETES.labels(verb, "none").inc()
            raise ClusterUnavailable(f"{method} {path}: {error or type(error).__name__}") from error

    async def clock(self) -> datetime:
        """The API server's time, to the second; raises like `call`."""
        async with self._answer("GET", "/version", None, None, _CALL) as response:
            try:
                return parsedate_to_datetime(response.headers["Date"])
            except (KeyError, ValueError) as error:
                raise ClusterUnavailable("The API server does not tell its time.") from error

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


def _refusal(status: int, text: str, retry_after: str = "") -> Exception:
    try:
        message = str(orjson.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        message = text[:500]
    # 401 passes too: the service account's token is renewed under our feet.
    if status >= 500 or status in {401, _TOO_MANY}:
        seconds = float(retry_after) if retry_after.isdecimal() else 0.0 if status != _TOO_MANY else 1.0
        return ClusterUnavailable(
            f"the API server answered {status}: {message}", min(seconds, _LONGEST_HOLD), busy=status == _TOO_MANY
        )
    return ApiRefusal(status, message)
