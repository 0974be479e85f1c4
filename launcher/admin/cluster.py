"""The cluster that a kubeconfig names, and what is asked of it."""

import base64
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from kubernetes.aio import client, config
from kubernetes.aio.config.config_exception import ConfigException

from launcher.admin import Failure
from launcher.kubeapi import APPLY, ApiRefusal, ClusterUnavailable, KubeApi, Tree

FIELD_MANAGER = "v6-node"
MANAGED = {"app.kubernetes.io/managed-by": "v6-node"}
"""Labels of what the command line makes, beside the chart."""
SELECTOR = "app.kubernetes.io/name=v6-node"
"""Of what the chart makes."""
LAUNCHER = "v6-node-launcher"
POD = f"{LAUNCHER}-0"


@dataclass(frozen=True, slots=True)
class Where:
    """Which node of which cluster a command is about."""

    namespace: str
    context: str | None = None
    """Of the kubeconfig; None: its current one."""
    kubeconfig: Path | None = None
    """None: what KUBECONFIG names, or ~/.kube/config."""

    @property
    def credentials(self) -> str:
        """The kubeconfig: a file or, as in KUBECONFIG, several."""
        return str(self.kubeconfig or os.environ.get("KUBECONFIG") or Path("~/.kube/config").expanduser())

    @property
    def options(self) -> list[str]:
        """The same for helm and, but for the context's name, kubectl."""
        given = {"--kube-context": self.context, "--kubeconfig": self.kubeconfig}
        return [word for option, value in given.items() if value for word in (option, str(value))]

    @property
    def core(self) -> str:
        """Path of what the namespace has of the core API."""
        return f"/api/v1/namespaces/{self.namespace}"

    def path(self, group: str, plural: str) -> str:
        """Path of a collection of the namespace; `group` with its version, such as `apps/v1`."""
        return f"/apis/{group}/namespaces/{self.namespace}/{plural}"


@asynccontextmanager
async def connected(where: Where) -> AsyncIterator[KubeApi]:
    """The API server, with the kubeconfig's credentials.

    Raises:
        Failure: there is no kubeconfig, or it can't be used.
    """
    place = where.credentials
    configuration = client.Configuration()
    try:
        await config.load_kube_config(place, where.context, configuration, persist_config=False)  # type: ignore[no-untyped-call]
    except (ConfigException, yaml.YAMLError, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        why = " ".join(str(error).split())
        raise Failure(
            f"No cluster can be told from the kubeconfig {place} ({why}); set KUBECONFIG, or give --kubeconfig and "
            "--context."
        ) from error
    api = KubeApi(configuration)
    try:
        yield api
    finally:
        await api.close()


async def get(api: KubeApi, path: str) -> Tree | None:
    """An object, or None if there is none."""
    try:
        return await api.call("GET", path)
    except ApiRefusal as refusal:
        if refusal.status == 404:
            return None
        raise


async def items(api: KubeApi, path: str, **query: str) -> list[Tree]:
    """The objects of a collection; none where the cluster does not know the kind."""
    try:
        return list((await api.call("GET", path, dict(query)))["items"] or ())
    except ApiRefusal as refusal:
        if refusal.status == 404:
            return []
        raise


async def apply(api: KubeApi, path: str, thing: Tree) -> Tree:
    """Make an object, or change it to what is given here, whoever had these fields before."""
    query = {"fieldManager": FIELD_MANAGER, "force": "true"}
    return await api.call("PATCH", f"{path}/{thing['metadata']['name']}", query, thing, content_type=APPLY)


def secret(name: str, namespace: str, texts: Mapping[str, str]) -> Tree:
    """The manifest of a Secret with texts."""
    metadata = {"name": name, "namespace": namespace, "labels": dict(MANAGED)}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": encoded(texts)}


def encoded(texts: Mapping[str, str]) -> dict[str, str]:
    """Texts as a Secret's `data` has them; server-side apply and `stringData` do not go together well."""
    return {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}


def sentence(error: ApiRefusal | ClusterUnavailable) -> str:
    """What the API server's refusal, or silence, means for who runs a command."""
    words = str(error).rstrip(".")
    if isinstance(error, ClusterUnavailable):
        return f"The cluster does not answer ({words}); check the kubeconfig, its context, and the way to the cluster."
    if error.status == 403:
        return f"The cluster does not allow it: {words}; have its administrator grant that, or use another --context."
    return f"The cluster refuses: {words}."


def names(things: Sequence[Tree]) -> list[str]:
    """What objects are called."""
    return [thing["metadata"]["name"] for thing in things]
