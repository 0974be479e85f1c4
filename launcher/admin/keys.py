"""The organization's private key, made; and the node's API key, replaced."""

import asyncio
import os
import tempfile
import time
from pathlib import Path

from vantage6.common.encryption import RSACryptor

from launcher.admin import Failure
from launcher.admin.asking import told
from launcher.admin.cluster import LAUNCHER, POD, Where, apply, encoded, get, secret
from launcher.admin.progress import Seen, Told, container_state, step
from launcher.config import UUID
from launcher.kubeapi import ApiRefusal, ClusterUnavailable, KubeApi, Tree
from launcher.runs import PREFIX
from launcher.translate.credentials import KEY_SECRET

PRIVATE_KEY = "private_key.pem"
_MERGE = "application/merge-patch+json"
_LOGGED_IN_WITHIN = 120.0
_LOOK_EVERY = 2.0


def new_private_key() -> str:
    """A new RSA key of 4096 bits, in PEM, as vantage6 makes it."""
    with tempfile.TemporaryDirectory() as folder:  # nobody else may look into it
        file = Path(folder) / PRIVATE_KEY
        RSACryptor.create_new_rsa_key(file)
        return file.read_text()


def write_private_key(file: Path, key: str) -> None:
    """Write a key where nothing is yet, for its owner alone.

    Raises:
        Failure: there is something, or it can't be written.
    """
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as there:
            there.write(key)
    except FileExistsError as error:
        raise Failure(
            f"{file} is there already; what was encrypted for its key can be read with no other, so keep it, or give "
            "another place with --output."
        ) from error
    except OSError as error:
        raise Failure(f"{file} can't be written ({error.strerror}); give another place with --output.") from error


async def put_private_key(api: KubeApi, where: Where, name: str, key: str) -> None:
    """Put a key into a new Secret.

    Raises:
        Failure: there is a Secret of that name, or no such namespace.
    """
    try:
        await api.call("POST", f"{where.core}/secrets", body=secret(name, where.namespace, {PRIVATE_KEY: key}))
    except ApiRefusal as refusal:
        if refusal.status == 409:
            raise Failure(
                f"Secret {name} of namespace {where.namespace} is there already; what was encrypted for its key can be "
                "read with no other, so keep it, or give another name with --secret."
            ) from refusal
        if refusal.status == 404:
            raise Failure(_no_namespace(where)) from refusal
        raise


def _no_namespace(where: Where) -> str:
    return (
        f"There is no namespace {where.namespace}; make it with `kubectl create namespace {where.namespace}`, or give "
        "--namespace."
    )


def usable_key(text: str) -> str:
    """An API key as somebody pasted it.

    Raises:
        Failure: it can't be one.
    """
    key = text.strip()
    if not UUID.fullmatch(key):
        raise Failure("That is no API key, which is a UUID; copy it as the server showed it.")
    return key


def key_secret(statefulset: Tree | None) -> str:
    """The name of the Secret from which the launcher has its key; the usual one if there is no launcher."""
    spec = (statefulset or {}).get("spec", {}).get("template", {}).get("spec", {})
    for volume in spec.get("volumes") or ():
        if volume["name"] == "secrets":
            return str(volume["secret"]["secretName"])
    return KEY_SECRET


def is_helms(thing: Tree | None) -> bool:
    """Whether the next `helm upgrade` sets an object back to what the values say."""
    return ((thing or {}).get("metadata", {}).get("labels") or {}).get("app.kubernetes.io/managed-by") == "Helm"


def holds(thing: Tree | None, key: str) -> bool:
    """Whether a Secret has this API key."""
    return ((thing or {}).get("data") or {}).get("api_key") == encoded({"api_key": key})["api_key"]


def answer_to_change(told: Told | None, since: float) -> tuple[bool, str] | None:
    """What became of a changed key: whether the server took it, and if not, why; None while nothing is known.

    Args:
        told: what the launcher answers.
        since: when it had tried a key last before the change, as it says itself.
    """
    connection = (told or {}).get("connection") or {}
    if (connection.get("key_tried") or 0) <= since:
        return None
    refusal = str(connection.get("key_refused") or "")
    return not refusal, refusal


class ApiKeyChange:
    """Replaces the API key of a node.

    Args:
        api: the API server.
        where: the node.
    """

    def __init__(self, api: KubeApi, where: Where) -> None:
        self._api = api
        self._where = where
        self.secret = ""
        """The Secret's name, once it is written."""
        self.set_back = False
        """Whether `helm upgrade` will set it back."""
        self._statefulset: Tree | None = None
        self._since = 0.0

    @property
    def runs(self) -> bool:
        """Whether there is a launcher, which uses the key."""
        return self._statefulset is not None

    @property
    def answers(self) -> bool:
        """Whether the launcher had told when it tried a key last, so that it can tell of the next."""
        return self._since > 0

    async def begin(self) -> None:
        """Note how it stands before the change."""
        self._statefulset = await get(self._api, self._where.path("apps/v1", f"statefulsets/{LAUNCHER}"))
        self.secret = key_secret(self._statefulset)
        answer, _ = await told(self._api, self._where) if self.runs else (None, "")
        self._since = ((answer or {}).get("connection") or {}).get("key_tried") or 0.0

    async def write(self, key: str) -> bool:
        """Write the key into its Secret; whether it is another than before.

        Raises:
            Failure: there is no such namespace.
        """
        await self.begin()
        secrets = f"{self._where.core}/secrets"
        before = await get(self._api, f"{secrets}/{self.secret}")
        if holds(before, key):
            return False
        self.set_back = is_helms(before)
        wanted = secret(self.secret, self._where.namespace, {"api_key": key})
        try:
            if before:  # its labels stay those of whoever made it
                change = {"data": wanted["data"]}
                await self._api.call("PATCH", f"{secrets}/{self.secret}", body=change, content_type=_MERGE)
            else:
                await apply(self._api, secrets, wanted)
        except ApiRefusal as refusal:
            if refusal.status == 404:
                raise Failure(_no_namespace(self._where)) from refusal
            raise
        return True

    async def used(self) -> None:
        """Return once the launcher logged in with the key.

        Raises:
            Failure: the server refuses it, or the launcher did not notice in time.
        """
        await self._hurry()
        deadline = time.monotonic() + _LOGGED_IN_WITHIN
        while time.monotonic() < deadline:
            now = answer_to_change((await told(self._api, self._where))[0], self._since)
            if now and now[0]:
                return
            if now:
                raise Failure(now[1])
            if refused := await self._last_words():
                raise Failure(refused)
            await asyncio.sleep(_LOOK_EVERY)
        raise Failure(
            f"The launcher did not log in with the new key within {_LOGGED_IN_WITHIN:.0f} seconds; "
            f"`v6-node status -n {self._where.namespace}` tells how it fares."
        )

    async def _hurry(self) -> None:
        """Have the new Secret reach the launcher at once, and not only when kubelet's cache is a minute old.

        A changed annotation makes kubelet look at the pod's Secrets
        (https://kubernetes.io/docs/concepts/configuration/configmap/#mounted-configmaps-are-updated-automatically); a
        pod that does not run, perhaps for want of a good key, is made anew. Where that is not allowed it takes longer.
        """
        path = f"{self._where.core}/pods/{POD}"
        try:
            pod = await get(self._api, path)
            if pod is None:
                return
            if "running" in container_state(pod, "launcher"):
                mark = {"metadata": {"annotations": {f"{PREFIX}/api-key-set": str(round(time.time()))}}}
                await self._api.call("PATCH", path, body=mark, content_type=_MERGE)
            else:
                await self._api.call("DELETE", path)
                self._since = 0.0
        except (ApiRefusal, ClusterUnavailable):
            return

    async def _last_words(self) -> str:
        """Why the launcher ended after it was started with the key; empty if it did not."""
        where = self._where
        pod = await get(self._api, f"{where.core}/pods/{POD}")
        statefulset = await get(self._api, where.path("apps/v1", f"statefulsets/{LAUNCHER}"))
        now = step(Seen(statefulset, [pod] if pod else []))
        said = now.trouble.sentence if now.trouble and now.trouble.patience == 0 else ""
        # A key of another node ends this launcher too; the next one is that node.
        return said if "api_key" in said and "another node" not in said else ""
