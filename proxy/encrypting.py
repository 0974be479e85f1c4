"""What is encrypted and decrypted for algorithms, in an encrypted collaboration and in one that is not."""

import asyncio
import base64
import io
import time
from typing import Any

from aiohttp import web

from launcher.encryption import Encrypted, Plain
from launcher.translation import Encrypt, ToBase64, Translation, UnusableKey, in_pieces
from proxy.forward import Forwarder
from proxy.refusal import Refusal
from proxy.results import DecryptedResults

_FRESH = 60.0  # seconds for which a public key is used again
_MOST_KEYS = 10_000


class Encrypting:
    """The cryptography of the routes.

    Args:
        cryptor: this organization's.
        forwarder: asks the server for other organizations' keys, with the algorithm's own token.
    """

    def __init__(self, cryptor: Plain | Encrypted, forwarder: Forwarder) -> None:
        self._cryptor = cryptor
        self._forwarder = forwarder
        self._keys: dict[int, tuple[float, str]] = {}

    async def seal_inputs(self, request: web.Request, organizations: list[dict[str, Any]]) -> None:
        """Encrypt each organization's input for it, in place.

        With a blob store, inputs are ids of blobs, which were encrypted when they were uploaded.

        Raises:
            Refusal: 400 for an input that is no base64 or an organization without a key; the server's own answer.
        """
        if not isinstance(self._cryptor, Encrypted):
            return
        if await self._has_blob_store(request):
            return
        for organization in organizations:
            if organization.get("input") is None:
                continue
            key = await self._key_of(request, organization["id"])
            organization["input"] = await asyncio.to_thread(
                _sealed, self._cryptor, key, organization["id"], organization["input"]
            )

    async def _has_blob_store(self, request: web.Request) -> bool:
        try:
            return bool((await self._forwarder.ask(request, "/blobstream/status")).get("blob_store_enabled"))
        except Refusal as refusal:
            if refusal.status == 404:  # a release (4.0.0, 4.5.5) that knows of no blob store
                return False
            raise

    async def _key_of(self, request: web.Request, organization: int) -> str:
        at, key = self._keys.get(organization, (0.0, ""))
        if not key or time.monotonic() - at > _FRESH:
            key = str((await self._forwarder.ask(request, f"/organization/{organization}")).get("public_key") or "")
            if len(self._keys) >= _MOST_KEYS:
                self._keys.clear()
            self._keys[organization] = (time.monotonic(), key)
        return key

    def uploading(self, public_key: str | None) -> Encrypt | ToBase64:
        """A translation of an upload, for the organization whose public key the algorithm sends along.

        Raises:
            Refusal: 400 if there is no such key, where one is needed.
        """
        if isinstance(self._cryptor, Plain):
            return self._cryptor.for_blob("")
        if not public_key:
            raise Refusal(400, "The header X-Public-Key is missing: give the public key of who shall read the upload.")
        try:
            return self._cryptor.for_blob(public_key)
        except UnusableKey as error:
            raise Refusal(400, f"The header X-Public-Key can't be used: {error}.") from None

    def downloading(self) -> Translation:
        """A translation of a download."""
        return self._cryptor.from_blob()

    def reading_results(self) -> Translation | None:
        """A translation of the server's answer with results; None where they pass as they are."""
        return DecryptedResults(self._cryptor.from_text) if isinstance(self._cryptor, Encrypted) else None


def _sealed(cryptor: Encrypted, key: str, organization: int, content: Any) -> str:
    try:
        plain = base64.b64decode(content, validate=True)
    except (ValueError, TypeError):
        raise Refusal(400, f"The input for organization {organization} is not base64; encode it.") from None
    try:
        sealing = cryptor.for_text(key)
    except UnusableKey as error:
        raise Refusal(
            400,
            f"The input for organization {organization} can't be encrypted, because its public key at the server "
            f"can't be used: {error}. Let its node or one of its users register one.",
        ) from None
    sealed = io.BytesIO()  # in pieces: an input may be large
    sealed.writelines(in_pieces(plain, sealing))
    del plain
    return str(sealed.getbuffer(), "ascii")
