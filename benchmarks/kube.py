"""The API server with nothing of the product in between: the limit is measured with it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
from kubernetes.aio import client, config

from tests.stage import StageError

Tree = dict[str, Any]
_CALL = aiohttp.ClientTimeout(total=60)
_WATCH = aiohttp.ClientTimeout(total=None)


class RawApi:
    """The API server, as whom the kubeconfig says.

    Args:
        kubeconfig: the file.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    async def __aenter__(self) -> "RawApi":
        configuration = client.Configuration()
        await config.load_kube_config(str(self._kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
        configuration.connection_pool_maxsize = 0  # none waits for another's connection
        self._client = client.ApiClient(configuration)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]

    async def call(self, method: str, path: str, body: Tree | None = None, query: Tree | None = None) -> Tree:
        """Call, and return the answer; nothing where there is no such object any more.

        Raises:
            StageError: the API server refuses.
        """
        text = await self.text(method, path, body, query)
        return dict(json.loads(text)) if text else {}

    async def text(self, method: str, path: str, body: Tree | None = None, query: Tree | None = None) -> str:
        """The same where the answer is no JSON."""
        response = await self._send(method, path, body, query, _CALL)
        async with response:
            text = str(await response.text())
            if response.status == 404 and method == "DELETE":
                return ""
            if response.status >= 400:
                raise StageError(f"{method} {path} was answered {response.status}: {text[:500]}")
            return text

    async def lines(self, path: str, query: Tree) -> AsyncIterator[bytes]:
        """The lines of a watch as they arrive."""
        async with await self._send("GET", path, None, query, _WATCH) as response:
            if response.status >= 400:
                raise StageError(f"GET {path} was answered {response.status}: {await response.text()}")
            while line := await response.content.readline():
                yield line

    async def _send(
        self, method: str, path: str, body: Tree | None, query: Tree | None, limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        request = await self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = await self._client.call_api(*request, _request_timeout=limits, _preload_content=False)
        response: aiohttp.ClientResponse = answer.response
        return response
