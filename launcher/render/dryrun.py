"""What the API server says of a Job and of its pod: by a dry run, with the caller's own rights, nothing is made."""

import json
import os
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.config.config_exception import ConfigException

_SECONDS = aiohttp.ClientTimeout(total=15, sock_connect=5)
ACCEPTED, REFUSED, NOT_ASKED = "accepts", "refuses", "not asked"


async def ask(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """For the Job and for its pod a pair: ACCEPTED, REFUSED or NOT_ASKED, and a sentence."""
    namespace = manifest["metadata"]["namespace"]
    try:
        api = await _client()
    except (ConfigException, OSError) as error:
        return [(NOT_ASKED, f"the API server was not asked, as there is no kubeconfig ({_words(error)}).")]
    try:
        return [
            await _ask(api, f"/apis/batch/v1/namespaces/{namespace}/jobs", manifest, "the Job"),
            await _ask(api, f"/api/v1/namespaces/{namespace}/pods", pod_of(manifest), "its pod"),
        ]
    finally:
        await api.close()  # type: ignore[no-untyped-call]


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    """The pod that a Job asks for."""
    template = job["spec"]["template"]
    meta = {"generateName": f"{job['metadata']['name']}-", **template["metadata"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}


async def _client() -> client.ApiClient:
    """The API server of the caller's kubeconfig, or that of the pod's own cluster."""
    configuration = client.Configuration()
    usual = str(Path.home() / ".kube" / "config")
    files = [Path(file) for file in os.environ.get("KUBECONFIG", usual).split(os.pathsep) if file]
    if any(file.is_file() for file in files):
        # Named, since the library looks at the environment when it is imported.
        merged = os.pathsep.join(map(str, files))
        await config.load_kube_config(merged, client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    return client.ApiClient(configuration)


async def _ask(api: client.ApiClient, path: str, body: dict[str, Any], what: str) -> tuple[str, str]:
    try:
        request = await api.param_serialize(
            "POST",
            path,
            query_params=[("dryRun", "All"), ("fieldValidation", "Strict")],
            header_params={"Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = await api.call_api(*request, _request_timeout=_SECONDS, _preload_content=False)
        async with answer.response as response:
            text = await response.text()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return NOT_ASKED, f"the API server was not asked about {what}, as it can't be reached ({_words(error)})."
    if response.status < 400:
        return ACCEPTED, f"the API server accepts {what}."
    return _judged(response.status, text, what)


def _judged(status: int, text: str, what: str) -> tuple[str, str]:
    try:
        words = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        words = text[:300]
    # Neither says anything of the manifest: who may not ask, and where the namespace is still to be made.
    if status in {401, 404} or "cannot create resource" in words or status >= 500:
        return NOT_ASKED, f"the API server does not judge {what} ({' '.join(words.split())})."
    return REFUSED, f"the API server refuses {what}: {' '.join(words.split())}"


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
