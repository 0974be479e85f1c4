"""A program run in the launcher's pod, as `kubectl exec` does it.

The launcher's status and what it kept of logs are reached this way, and not over the network: the namespace denies
every connection that the node does not need, the API server's to a pod among them. It takes the right to `pods/exec`.
"""

import asyncio
import json

import aiohttp
from kubernetes.aio.stream import WsApiClient

from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi

_OUT, _ERROR, _END = 1, 2, 3
"""Channels (https://kubernetes.io/docs/reference/using-api/api-concepts, `v4.channel.k8s.io`)."""
_LONGEST = 64 * 2**20


async def execute(api: KubeApi, pod: str, command: list[str], *, container: str, seconds: float = 30) -> bytes:
    """What a program in a container prints.

    Args:
        api: the API server.
        pod: the pod's path.
        command: program and arguments.
        container: its name.
        seconds: for which it may run.

    Raises:
        ApiRefusal: it is not allowed, there is no such container, or the program failed (status 500 then).
        ClusterUnavailable: no answer, or none in time.
    """
    query: list[tuple[str, str]] = [("command", word) for word in command]
    query += [("container", container), ("stdout", "true"), ("stderr", "true")]
    async with WsApiClient(api.configuration) as client:  # type: ignore[no-untyped-call]
        request = await client.param_serialize("GET", f"{pod}/exec", query_params=query, auth_settings=["BearerToken"])
        answer = await client.call_api(*request, _preload_content=False)
        try:
            async with asyncio.timeout(seconds), answer.response as socket:
                return await _read(socket)
        except aiohttp.WSServerHandshakeError as error:
            raise _refusal(error.status) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClusterUnavailable(f"exec {pod}: {error or type(error).__name__}") from error


async def _read(socket: aiohttp.ClientWebSocketResponse) -> bytes:
    said = {_OUT: bytearray(), _ERROR: bytearray(), _END: bytearray()}
    async for message in socket:
        content = message.data if isinstance(message.data, bytes) else str(message.data).encode()
        if content and content[0] in said and len(said[content[0]]) < _LONGEST:
            said[content[0]] += content[1:]
    try:
        end = json.loads(bytes(said[_END]))
    except ValueError as error:
        raise ClusterUnavailable("the connection to the program ended before the program did") from error
    if end.get("status") != "Success":
        words = said[_ERROR].decode(errors="replace").strip() or end.get("message") or "it failed"
        raise ApiRefusal(500, words.splitlines()[-1])
    return bytes(said[_OUT])


def _refusal(status: int) -> Exception:
    if status in {401, 403}:
        return ApiRefusal(403, "programs may not be run in the launcher's pod (pods/exec)")
    if status >= 500 or status == 400:
        return ClusterUnavailable(f"the launcher's container does not run (the API server answered {status})")
    return ApiRefusal(status, f"the API server answered {status}")
