"""Inputs and results of a vantage6 4.x server's runs: encrypted or not, in the run itself or in a blob store."""

import base64
import binascii
import io
import logging
from collections.abc import Awaitable, Callable

from launcher.encryption import Encrypted, Plain
from launcher.jsonfield import JsonField
from launcher.runs import Run
from launcher.session import InputUnreadable, ServerRefusal
from launcher.session.rest import Rest
from launcher.session.resultbody import ResultBody, Streamed
from launcher.translation import Translation, Undecryptable, UnusableKey

log = logging.getLogger(__name__)

_MAX_INPUT_BYTES = 2**28


class Aside:
    """A translation to nothing: what is said is kept aside.

    Args:
        translation: of the bytes that come; as they are by default.
    """

    def __init__(self, translation: Translation | None = None) -> None:
        self._translation = translation
        self._kept = io.BytesIO()

    def update(self, piece: bytes) -> bytes:
        """Nothing.

        Raises:
            ValueError: it is too large; what the translation raises.
        """
        self._kept.write(self._translation.update(piece) if self._translation else piece)
        if self._kept.tell() > _MAX_INPUT_BYTES:
            raise ValueError(f"it is larger than {_MAX_INPUT_BYTES // 2**20} MiB, which is the most that a node reads")
        return b""

    def finish(self) -> bytes:
        """Nothing; raises what the translation raises."""
        if self._translation:
            self._kept.write(self._translation.finish())
        return b""

    @property
    def content(self) -> bytes:
        """What was kept; not copied."""
        return self._kept.getvalue()


class Nothing:
    """A translation to nothing: an input in a list of runs is of no use there, and may be large."""

    def update(self, _: bytes) -> bytes:
        """Nothing."""
        return b""

    def finish(self) -> bytes:
        """Nothing."""
        return b""


def without_input() -> JsonField:
    """Leaves the inputs out of an answer about runs."""
    return JsonField("input", Nothing)


class Contents:
    """Reads inputs, and makes what is sent as a result.

    Args:
        rest: the server.
        cryptor: this organization's encryption.
    """

    def __init__(self, rest: Rest, cryptor: Plain | Encrypted) -> None:
        self._rest = rest
        self._cryptor = cryptor

    async def register_key(self, organization_id: int) -> None:
        """Let the server have the public key that belongs to the private one: all others encrypt with it for us."""
        if isinstance(self._cryptor, Plain):
            return
        path = f"/organization/{organization_id}"
        registered = (await self._rest.call("GET", path)).get("public_key") or ""
        if self._cryptor.matches(registered):
            return
        if registered:
            log.critical(
                "the public key at the server belongs to another private key and is replaced; what was encrypted with "
                "it can't be read any more, and the organization's researchers and other nodes need this node's key",
                extra={"fields": {"organization": organization_id}},
            )
        else:
            log.info("public key registered", extra={"fields": {"organization": organization_id}})
        await self._rest.call("PATCH", path, body={"public_key": self._cryptor.public_key})

    async def input_of(self, run: Run, patch: Callable[[Translation], Awaitable[bool]]) -> bytes | None:
        """The input of a run, which is in the answer to a patch; None if the run is closed.

        Args:
            run: whose.
            patch: sends it, with what reads the answer; returns whether the run is open.

        Raises:
            InputUnreadable: it can't be decrypted, or is too large.
            ServerRefusal, ServerUnavailable: as `Rest.call`.
        """
        try:
            said = Aside(None if run.blob_storage_used else self._cryptor.from_text())
            if not await patch(JsonField("input", lambda: said)):
                return None
            if run.blob_storage_used and said.content:
                blob = Aside(self._cryptor.from_blob())
                await self._rest.call("GET", f"/blobstream/{said.content.decode()}", reading=blob, parsed=False)
                return blob.content
            return _unwrapped(said.content) if isinstance(self._cryptor, Encrypted) else said.content
        except Undecryptable as error:
            raise InputUnreadable(
                f"The input can't be decrypted by this node: {error}. Send the task again with a client that encrypts "
                "for the public key that the organization has at the server now; if that fails too, the node's "
                "node.encryption.private_key does not belong to that public key."
            ) from error
        except binascii.Error as error:
            raise InputUnreadable("The input can't be read: it is not base64.") from error
        except ValueError as error:
            raise InputUnreadable(f"The input can't be read: {error}.") from error

    async def body_of(self, run: Run, fields: dict[str, str], result: bytes) -> dict[str, str] | ResultBody:
        """What is delivered: the result encrypted for the organization that started the task."""
        if not result and (run.blob_storage_used or isinstance(self._cryptor, Plain)):
            return {**fields, "result": ""}
        key = await self._receivers_key(run)
        try:
            if run.blob_storage_used:
                blob = Streamed(result, lambda: self._cryptor.for_blob(key))
                return {**fields, "result": str((await self._rest.call("POST", "/blobstream", body=blob))["uuid"])}
            return ResultBody(fields, result, lambda: self._cryptor.for_text(key))
        except UnusableKey as error:
            if not result:  # nothing to hide, and a run that failed must be told of
                return {**fields, "result": ""}
            raise ServerRefusal(
                400,
                f"organization {run.init_organization_id}, which started the task, has no public key there to encrypt "
                f"the result with ({error}); register one, by the client's setup_encryption or that organization's "
                "node, and send the task again",
            ) from error

    async def _receivers_key(self, run: Run) -> str:
        if isinstance(self._cryptor, Plain):
            return ""
        organization = await self._rest.call("GET", f"/organization/{run.init_organization_id}")
        return str(organization.get("public_key") or "")


def _unwrapped(content: bytes) -> bytes:
    """The web UI puts an input into base64 before it is encrypted. An input is JSON, and no JSON begins with an `e`."""
    if not content.startswith(b"e"):
        return content
    try:
        return base64.b64decode(content, validate=True)
    except ValueError:
        return content
