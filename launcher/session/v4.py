"""A session with a vantage6 4.x server: REST for what matters, socket.io for hints and for being online.

What the server expects of a node was read from, and tried against, vantage6-server 4.15.2.
"""

import asyncio
import logging
from typing import Any

import aiohttp
from vantage6.common.task_status import has_task_failed

from launcher.apikey import ApiKey
from launcher.config.node import NodeSection
from launcher.connection import Connection
from launcher.encryption import Encrypted, Plain
from launcher.runs import Outcome, Run, RunStatus
from launcher.session import Identity, Listener, LoginRefused, ServerRefusal, ServerUnavailable
from launcher.session.rest import Rest
from launcher.session.resultbody import ResultBody
from launcher.session.v4_answers import (
    concerns,
    killed_runs,
    now_as_in,
    page_count,
    parse_new_task,
    parse_node,
    parse_run,
    shared_config,
    status_change,
)
from launcher.session.v4_contents import Contents, without_input
from launcher.session.v4_online import Online
from launcher.session.v4_socket import Handler
from launcher.translation import Translation

log = logging.getLogger(__name__)

_PAGE = 100
_LOG_WITHIN = 10
_DROPPED_WITHIN = 1.0


class V4Session:
    """One node's session; `open` it, then `stay_connected`.

    Args:
        http: carries REST and socket.io; closed by whoever made it.
        node: the node's configuration.
        api_key: the node's key.
        cryptor: reads inputs and encrypts results; by default nothing is encrypted.
        transport: what carries socket.io, `auto`, `polling` or `websocket`.
        connection: told whether the node is online.
    """

    identity: Identity
    _listener: Listener

    def __init__(
        self,
        http: aiohttp.ClientSession,
        node: NodeSection,
        api_key: str | ApiKey,
        cryptor: Plain | Encrypted | None = None,
        *,
        transport: str = "auto",
        connection: Connection | None = None,
    ) -> None:
        self._http = http
        self._node = node
        self._transport = transport
        self._connection = connection or Connection()
        self._rest = Rest(http, node.api_url, api_key, self._connection.failed, self._connection.logged_in)
        self._contents = Contents(self._rest, cryptor or Plain())
        self._online: Online | None = None
        self._columns: dict[str, list[str]] = {}

    @property
    def online(self) -> bool:
        """Whether the server sees this node online."""
        return self._online is not None and self._online.live

    async def open(self) -> None:
        """Log in and learn who this node is.

        Raises:
            LoginRefused: the server does not know the key.
        """
        await self._rest.login()
        node = await self._rest.call("GET", f"/node/{self._rest.claims['sub']}")
        self.identity = parse_node(node, self._node.api_url)
        collaboration = await self._rest.call("GET", f"/collaboration/{self.identity.collaboration_id}")
        if bool(collaboration["encrypted"]) != self._node.encryption.enabled:
            raise LoginRefused(
                f"node.encryption.enabled is {str(self._node.encryption.enabled).lower()}, but at the server the "
                f"collaboration {'is' if collaboration['encrypted'] else 'is not'} encrypted; they must agree."
            )
        await self._contents.register_key(self.identity.organization_id)

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
        first = await self._rest.call("GET", "/run", params=query, reading=without_input())
        found = {run["id"]: parse_run(run) for run in first["data"]}
        # A run that ends meanwhile moves the later ones to earlier pages: read from the last page to the first,
        # and none is missed.
        pages = page_count(first)
        for page in range(pages, 0, -1) if pages > 1 else ():
            answer = await self._rest.call("GET", "/run", params={**query, "page": page}, reading=without_input())
            found.update((run["id"], parse_run(run)) for run in answer["data"])
        return [found[key] for key in sorted(found)]

    async def find(self, run_id: int) -> Run | None:
        try:
            run = await self._rest.call("GET", f"/run/{run_id}", params={"include": "task"}, reading=without_input())
        except ServerRefusal as refusal:
            if refusal.status == 404:
                return None
            raise
        ours = (run.get("node") or {}).get("id") == self.identity.node_id
        return parse_run(run) if ours and run["finished_at"] is None else None

    async def take(self, run: Run) -> bytes | None:
        return await self._contents.input_of(
            run, lambda reading: self._patch(run, {"started_at": now_as_in(run.assigned_at)}, reading)
        )

    async def algorithm_token(self, run: Run) -> str:
        answer = await self._rest.call("POST", "/token/container", body={"task_id": run.task_id, "image": run.image})
        return str(answer["container_token"])

    async def is_subtask(self, task_id: int) -> bool:
        return bool((await self._rest.call("GET", f"/task/{task_id}")).get("parent"))

    async def organization_name(self, organization_id: int) -> str:
        return str((await self._rest.call("GET", f"/organization/{organization_id}"))["name"])

    async def store_url(self, store_id: int) -> str:
        return str((await self._rest.call("GET", f"/algorithmstore/{store_id}"))["url"])

    async def store_confirms(self, url: str, image: str) -> bool:
        return await self._rest.ask_store(url, image)

    async def report_active(self, run: Run) -> None:
        if await self._patch(run, {"status": RunStatus.ACTIVE.value}):
            await self._tell(run, RunStatus.ACTIVE)

    async def show_log(self, run: Run, text: str) -> bool:
        piece = {"collaboration_id": run.collaboration_id, "run_id": run.id, "task_id": run.task_id, "log": text}
        # With an answer: the server appends to what it has, and one that comes after the delivery would spoil it.
        return self._online is not None and await self._online.ask("algorithm_log", piece, _LOG_WITHIN)

    async def deliver(self, run: Run, outcome: Outcome, result: bytes, log: str) -> None:
        # One patch with everything: the server sets to null what a patch leaves out.
        fields = {"status": outcome.status.value, "log": log, "finished_at": now_as_in(run.assigned_at)}
        if await self._patch(run, await self._contents.body_of(run, fields, result)):
            await self._tell(run, outcome.status)

    async def _patch(self, run: Run, body: dict[str, str] | ResultBody, reading: Translation | None = None) -> bool:
        """Change the run; returns whether it was open. By default the input in the answer is left out."""
        try:
            await self._rest.call("PATCH", f"/run/{run.id}", body=body, reading=reading or without_input())
            return True
        except ServerRefusal as refusal:
            if refusal.status == 404 or (refusal.status == 400 and "already finished" in refusal.message):
                return False
            raise

    async def _tell(self, run: Run, status: RunStatus) -> None:
        """Tell the collaboration, after the server's database has it: who listens may look at once."""
        await self._emit("algorithm_status_change", status_change(self.identity, run, status))

    # Being online

    async def stay_connected(self, listener: Listener) -> None:
        """Be online until cancelled: connect, and connect again with a fresh token whenever the connection ends.

        Raises:
            LoginRefused: the server does not accept the node's key any more, or it is another node's now.
        """
        self._listener = listener
        online = self._online = Online(
            self._http,
            self._rest,
            self._node.server,
            self.identity,
            transport=self._transport,
            connection=self._connection,
            handlers=self._handlers,
            greeting=self._greeting,
            sync=self._sync,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._rest.keep_fresh())
                tasks.create_task(self._rest.follow_key())
                tasks.create_task(online.keep())
        finally:
            self._connection.left("The node went offline by itself.")

    async def _sync(self) -> None:
        """Read the open runs, and share the configuration."""
        self._listener.open_runs(await self.open_runs())
        await self._share()

    async def _emit(self, event: str, data: dict[str, Any]) -> None:
        if self._online is None or not await self._online.tell(event, data):
            log.debug("an event was not sent: no connection", extra={"fields": {"event_name": event}})

    # What the server tells

    @property
    def _greeting(self) -> str:
        """What releases before `sync` was there say when they know who is connected."""
        return f"Node <{self.identity.name}> joined room <collaboration_{self.identity.collaboration_id}>"

    @property
    def _handlers(self) -> dict[str, Handler]:
        return {
            "new_task": self._on_new_task,
            "kill_containers": self._on_kill,
            "algorithm_status_change": self._on_status_change,
            "node-offline": self._on_node_offline,
        }

    async def _on_new_task(self, told: Any) -> None:
        # Sent to the whole collaboration: the list is empty for a task without a run for this node.
        task_id = parse_new_task(told)
        try:
            if runs := await self.open_runs(task_id):
                self._listener.new_runs(runs)
        except (ServerUnavailable, ServerRefusal, LoginRefused) as error:
            log.warning("a new task can't be read yet", extra={"fields": {"task": task_id, "reason": str(error)}})
            if self._online is not None:
                self._online.sync_wanted.set()

    async def _on_node_offline(self, node: dict[str, Any]) -> None:
        """Take back that this node is offline: the server noticed only now that an earlier connection of it had ended.

        With that it also drops what the node told of itself.
        """
        if node["id"] != self.identity.node_id or self._online is None or not self._online.live:
            return
        await self._online.tell("ping")
        await asyncio.sleep(_DROPPED_WITHIN)
        self._online.sync_wanted.set()

    async def _on_kill(self, order: dict[str, Any]) -> None:
        if concerns(order, self.identity):
            self._listener.killed(killed_runs(order, self.identity))

    async def _on_status_change(self, change: dict[str, Any]) -> None:
        """Another party's run failed: a central function here may wait for it in vain."""
        if change.get("node_id") != self.identity.node_id and has_task_failed(RunStatus(change["status"])):
            told = {key: change.get(key) for key in ("run_id", "task_id", "status", "organization_id")}
            log.warning("a run of another node failed", extra={"fields": told})

    # What the node tells of itself

    async def share_columns(self, columns: dict[str, list[str]]) -> None:
        """Share the names of columns, by the label of their database; nothing is sent where nothing changed."""
        if columns != self._columns:
            self._columns = columns
            await self._share()

    async def share_load(self, load: dict[str, Any]) -> None:
        """Tell the server's metrics how busy the node is."""
        await self._emit("node_metrics_update", load)

    async def _share(self) -> None:
        if self._node.share_config and self.online:
            await self._emit("node_info_update", shared_config(self._node, self._columns))
