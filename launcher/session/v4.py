"""A session with a vantage6 4.x server: REST for what matters, socket.io for hints and for being online.

What the server expects of a node was read from, and tried against, vantage6-server 4.15.2.
"""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime
from typing import Any

import aiohttp
import socketio
from socketio.exceptions import SocketIOError

from launcher.backoff import backoff
from launcher.config import NodeSection
from launcher.encryption import Encrypted, Plain, Undecryptable, UnusableKey
from launcher.runs import Outcome, Run, RunStatus
from launcher.session import Identity, InputUnreadable, Listener, LoginRefused, ServerRefusal, ServerUnavailable
from launcher.session.rest import Rest
from launcher.session.resultbody import ResultBody, Streamed
from launcher.session.v4_answers import page_count, parse_run, shared_policies

log = logging.getLogger(__name__)

NAMESPACE = "/tasks"
_PAGE = 100
_MAX_INPUT_BYTES = 2**28
_FIRST_PING, _PING_EVERY = 5.0, 60.0
# Events are hints and can be lost: now and then the open runs are read again.
_SYNC_EVERY = 600.0
_SYNC_WITHIN = 30.0
_LOG_WITHIN = 10


class V4Session:
    """One node's session; `open` it, then `stay_connected`.

    Args:
        http: carries REST and socket.io; closed by whoever made it.
        node: the node's configuration.
        api_key: the node's key.
        cryptor: reads inputs and encrypts results; by default nothing is encrypted.
    """

    identity: Identity
    _listener: Listener

    def __init__(
        self, http: aiohttp.ClientSession, node: NodeSection, api_key: str, cryptor: Plain | Encrypted | None = None
    ) -> None:
        self._node = node
        self._cryptor = cryptor or Plain()
        self._rest = Rest(http, node.api_url, api_key)
        self._synced, self._ended = asyncio.Event(), asyncio.Event()
        self._token_refused = False
        self._socket = socketio.AsyncClient(reconnection=False, http_session=http, handle_sigint=False)
        for event, handler in {
            "sync": self._on_sync,
            "new_task": self._on_new_task,
            "kill_containers": self._on_kill,
            "expired_token": self._on_bad_token,
            "invalid_token": self._on_bad_token,
            "message": self._on_message,
            "disconnect": self._on_disconnect,
        }.items():
            self._socket.on(event, handler, namespace=NAMESPACE)

    @property
    def online(self) -> bool:
        """Whether the server sees this node online."""
        return bool(self._socket.connected) and self._synced.is_set()

    async def open(self) -> None:
        """Log in and learn who this node is.

        Raises:
            LoginRefused: the server does not know the key.
        """
        await self._rest.login()
        node = await self._rest.call("GET", f"/node/{self._rest.claims['sub']}")
        self.identity = Identity(
            server=self._node.api_url,
            node_id=node["id"],
            name=node["name"],
            organization_id=node["organization"]["id"],
            collaboration_id=node["collaboration"]["id"],
        )
        collaboration = await self._rest.call("GET", f"/collaboration/{self.identity.collaboration_id}")
        if bool(collaboration["encrypted"]) != self._node.encryption.enabled:
            raise LoginRefused(
                f"node.encryption.enabled is {str(self._node.encryption.enabled).lower()}, but at the server the "
                f"collaboration {'is' if collaboration['encrypted'] else 'is not'} encrypted; they must agree."
            )
        if isinstance(self._cryptor, Encrypted):
            await self._register_key(self._cryptor)

    async def _register_key(self, cryptor: Encrypted) -> None:
        """Let the server have the public key that belongs to the private one: all others encrypt with it for us."""
        path = f"/organization/{self.identity.organization_id}"
        registered = (await self._rest.call("GET", path)).get("public_key") or ""
        if cryptor.matches(registered):
            return
        if registered:
            log.critical(
                "the public key at the server belongs to another private key and is replaced; what was encrypted with "
                "it can't be read any more, and the organization's researchers and other nodes need this node's key",
                extra={"fields": {"organization": self.identity.organization_id}},
            )
        else:
            log.info("public key registered", extra={"fields": {"organization": self.identity.organization_id}})
        await self._rest.call("PATCH", path, body={"public_key": cryptor.public_key})

    # What the reconciler asks

    async def open_runs(self, task_id: int | None = None) -> list[Run]:
        """All open runs of this node, or those of one task."""
        query: dict[str, Any] = {
            "state": "open",
            "node_id": self.identity.node_id,
            "include": "task",
            "sort": "id",
            "per_page": _PAGE,
        }
        if task_id is not None:
            query["task_id"] = task_id
        first = await self._rest.call("GET", "/run", params=query)
        found = {run["id"]: run for run in first["data"]}
        # A run that ends meanwhile moves the later ones to earlier pages: read from the last page to the first,
        # and none is missed.
        pages = page_count(first)
        for page in range(pages, 0, -1) if pages > 1 else ():
            answer = await self._rest.call("GET", "/run", params={**query, "page": page})
            found.update((run["id"], run) for run in answer["data"])
        return [parse_run(found[key]) for key in sorted(found)]

    async def find(self, run_id: int) -> Run | None:
        try:
            run = await self._rest.call("GET", f"/run/{run_id}", params={"include": "task"})
        except ServerRefusal as refusal:
            if refusal.status == 404:
                return None
            raise
        ours = (run.get("node") or {}).get("id") == self.identity.node_id
        return parse_run(run) if ours and run["finished_at"] is None else None

    async def take(self, run: Run) -> bytes | None:
        answer = await self._patch(run, {"started_at": _now()})
        if answer is None:
            return None
        content = answer["input"] or ""
        try:
            if run.blob_storage_used and content:
                return await self._rest.download(f"/blobstream/{content}", self._cryptor.from_blob(), _MAX_INPUT_BYTES)
            return await asyncio.to_thread(self._cryptor.read_text, content) if content else b""
        except Undecryptable as error:
            raise InputUnreadable(
                f"The input can't be decrypted by this node: {error}. Send the task again with a client that encrypts "
                "for the public key that the organization has at the server now; if that fails too, the node's "
                "node.encryption.private_key does not belong to that public key."
            ) from error
        except ValueError as error:
            raise InputUnreadable(f"The input can't be read from the server's blob store: {error}.") from error

    async def algorithm_token(self, run: Run) -> str:
        answer = await self._rest.call("POST", "/token/container", body={"task_id": run.task_id, "image": run.image})
        return str(answer["container_token"])

    async def organization_name(self, organization_id: int) -> str:
        return str((await self._rest.call("GET", f"/organization/{organization_id}"))["name"])

    async def store_url(self, store_id: int) -> str:
        return str((await self._rest.call("GET", f"/algorithmstore/{store_id}"))["url"])

    async def store_confirms(self, url: str, image: str) -> bool:
        return await self._rest.ask_store(url, image)

    async def report_active(self, run: Run) -> None:
        if await self._patch(run, {"status": RunStatus.ACTIVE.value}) is not None:
            await self._tell(run, RunStatus.ACTIVE)

    async def show_log(self, run: Run, text: str) -> bool:
        piece = {"collaboration_id": run.collaboration_id, "run_id": run.id, "task_id": run.task_id, "log": text}
        try:
            # With an answer: the server appends to what it has, and one that comes after the delivery would spoil it.
            await self._socket.call("algorithm_log", piece, namespace=NAMESPACE, timeout=_LOG_WITHIN)
        except SocketIOError:
            return False
        return True

    async def deliver(self, run: Run, outcome: Outcome, result: bytes, log: str) -> None:
        # One patch with everything: the server sets to null what a patch leaves out.
        fields = {"status": outcome.status.value, "log": log, "finished_at": _now()}
        if await self._patch(run, await self._body(run, fields, result)) is not None:
            await self._tell(run, outcome.status)

    async def _body(self, run: Run, fields: dict[str, str], result: bytes) -> dict[str, str] | ResultBody:
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

    async def _patch(self, run: Run, body: dict[str, str] | ResultBody) -> dict[str, Any] | None:
        """The run after the patch, or None if the server had closed it already."""
        try:
            return dict(await self._rest.call("PATCH", f"/run/{run.id}", body=body))
        except ServerRefusal as refusal:
            if refusal.status == 404 or (refusal.status == 400 and "already finished" in refusal.message):
                return None
            raise

    async def _tell(self, run: Run, status: RunStatus) -> None:
        """Tell the collaboration, after the server's database has it: who listens may look at once."""
        change = {
            "node_id": self.identity.node_id,
            "status": status.value,
            "run_id": run.id,
            "task_id": run.task_id,
            "collaboration_id": run.collaboration_id,
            "organization_id": run.organization_id,
            "parent_id": run.parent_id,
        }
        try:
            await self._socket.emit("algorithm_status_change", change, namespace=NAMESPACE)
        except SocketIOError:
            log.debug("a status change was not announced: no connection", extra={"fields": {"run": run.id}})

    # Being online

    async def stay_connected(self, listener: Listener) -> None:
        """Be online until cancelled: connect, and connect again with a fresh token whenever the connection ends."""
        self._listener = listener
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._rest.keep_fresh())
            tasks.create_task(self._reconnect_for_ever())

    async def _reconnect_for_ever(self) -> None:
        failures = 0
        while True:
            self._synced.clear()
            self._ended.clear()
            try:
                if self._token_refused:
                    await self._rest.renew()
                    self._token_refused = False
                await self._socket.connect(
                    self._node.server, headers=self._rest.headers, namespaces=[NAMESPACE], wait_timeout=30
                )
                await self._be_online()
                failures = 0
            except (SocketIOError, ServerUnavailable, TimeoutError) as error:
                failures += 1
                log.warning("not online", extra={"fields": {"reason": str(error) or "the server did not say sync"}})
            finally:
                await self._socket.disconnect()
            await asyncio.sleep(backoff(failures))

    async def _be_online(self) -> None:
        """Return when the connection ends.

        Raises:
            TimeoutError: the server never said `sync`, so it does not know who we are.
        """
        # A connection whose token the server could not read is accepted and ignored: only `sync` proves it works.
        async with asyncio.timeout(_SYNC_WITHIN):
            await self._synced.wait()
        log.info("online", extra={"fields": {"node": self.identity.name, "server": self.identity.server}})
        meanwhile = [asyncio.create_task(self._ping()), asyncio.create_task(self._sync_now_and_then())]
        try:
            # Not the socket's own wait(): cancelled while a connection ends, it goes on as if nothing had been said.
            await self._ended.wait()
        finally:
            for task in meanwhile:
                task.cancel()
        log.warning("offline: the connection ended")

    async def _ping(self) -> None:
        await asyncio.sleep(_FIRST_PING)
        while self._socket.connected:
            with contextlib.suppress(SocketIOError):
                await self._socket.emit("ping", namespace=NAMESPACE)
            await asyncio.sleep(_PING_EVERY)

    async def _sync_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_SYNC_EVERY)
            self._listener.open_runs(await self._until_answered(None))

    # What the server tells

    async def _on_sync(self) -> None:
        runs = await self._until_answered(None)
        self._synced.set()
        self._listener.open_runs(runs)
        if self._node.share_config:
            await self._socket.emit("node_info_update", self._shared_config(), namespace=NAMESPACE)

    async def _on_new_task(self, task: dict[str, Any]) -> None:
        # Sent to the whole collaboration: the list is empty for a task without a run for this node.
        if runs := await self._until_answered(task["id"]):
            self._listener.new_runs(runs)

    async def _until_answered(self, task_id: int | None) -> list[Run]:
        failures = 0
        while True:
            try:
                return await self.open_runs(task_id)
            except (ServerUnavailable, ServerRefusal) as error:
                failures += 1
                log.warning("the open runs can't be read yet", extra={"fields": {"reason": str(error)}})
                await asyncio.sleep(backoff(failures))

    async def _on_kill(self, order: dict[str, Any]) -> None:
        if order.get("collaboration_id") != self.identity.collaboration_id:
            return
        if order.get("node_id") not in (None, self.identity.node_id):
            return
        if (listed := order.get("kill_list")) is None:
            self._listener.killed(None)
        else:
            ours = [entry for entry in listed if entry.get("organization_id") == self.identity.organization_id]
            self._listener.killed([entry["run_id"] for entry in ours])

    async def _on_bad_token(self) -> None:
        # The connection stays, but anonymous: end it, and connect again with a new token.
        self._token_refused = True
        await self._socket.disconnect()

    async def _on_disconnect(self, _: str) -> None:
        self._ended.set()

    async def _on_message(self, text: Any) -> None:
        log.debug("the server says", extra={"fields": {"message": str(text)[:500]}})

    def _shared_config(self) -> dict[str, Any]:
        return {
            "encryption": self._node.encryption.enabled,
            **shared_policies(self._node.policies),
            "database_labels": [database.label for database in self._node.databases],
            "database_types": {f"db_type_{database.label}": database.type for database in self._node.databases},
        }


def _now() -> str:
    # Without a fraction the server (4.15.2) can't parse it, and Python leaves a fraction of zero out.
    return datetime.now(UTC).isoformat(timespec="microseconds")
