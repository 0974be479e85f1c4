"""A session with the server of the proof of concept: socket.io without login, a node that is told commands.

That server passes on what it is told and remembers nothing, so the node keeps the runs itself, in a journal on the
task volume: what the other protocol asks of its server, this one asks of the journal. docs/poc.md has the payloads.
"""

import asyncio
import base64
import logging
from pathlib import Path
from typing import Any

import aiohttp
import socketio
from socketio.exceptions import SocketIOError

from launcher.backoff import Backoff
from launcher.config.node import NodeSection
from launcher.connection import Connection
from launcher.runs import Outcome, Run, RunStatus
from launcher.session import Identity, Listener, ServerRefusal
from launcher.session.poc_commands import AnyCommand, KillCommand, Refused, ResultCommand, RunCommand, parse, recognised
from launcher.session.poc_journal import Journal, Record

log = logging.getLogger(__name__)

NO_STORES = "the proof of concept's server knows no algorithm stores"

# Nobody registers nodes. The journal is what makes a node itself, wherever its server moves.
IDENTITY = Identity(server="poc", node_id=0, name="poc", organization_id=0, collaboration_id=0)
_PATIENCE = 30
_LISTED = 200


class PocSession:
    """One node's session, as `launcher.session.Session` describes it.

    Args:
        http: carries socket.io; closed by whoever made it.
        node: the node's configuration.
        tasks: where the task volume is mounted.
        connection: told whether the node is online.
    """

    identity = IDENTITY
    _listener: Listener

    def __init__(
        self, http: aiohttp.ClientSession, node: NodeSection, tasks: Path, connection: Connection | None = None
    ) -> None:
        self._connection = connection or Connection()
        self._node = node
        self._journal = Journal(tasks)
        self._writing = asyncio.Lock()
        self._known, self._ended = False, asyncio.Event()
        self._socket = socketio.AsyncClient(reconnection=False, http_session=http, handle_sigint=False)
        self._socket.on("command", self._on_command)
        self._socket.on("disconnect", self._on_disconnect)

    @property
    def online(self) -> bool:
        """Whether the server passes commands on to this node."""
        return bool(self._socket.connected) and self._known

    async def open(self) -> None:
        """There is no login."""

    # What the reconciler asks

    async def find(self, run_id: int) -> Run | None:
        record = await asyncio.to_thread(self._journal.read, run_id)
        return record.run if record and record.finished_at is None else None

    async def take(self, run: Run) -> bytes | None:
        record = await self._note(run, RunStatus.INITIALIZING)
        return None if record is None else base64.b64decode(record.content)

    async def algorithm_token(self, run: Run) -> str:
        record = await asyncio.to_thread(self._journal.read, run.id)
        return record.token if record else ""

    async def report_active(self, run: Run) -> None:
        await self._note(run, RunStatus.ACTIVE)

    async def show_log(self, run: Run, text: str) -> bool:
        await self._reply(command="log", run_id=run.id, log=text)
        return True

    async def is_subtask(self, task_id: int) -> bool:
        return False

    async def organization_name(self, organization_id: int) -> str:
        raise ServerRefusal(404, "the proof of concept's server knows no organizations")

    async def store_url(self, store_id: int) -> str:
        raise ServerRefusal(404, NO_STORES)

    async def store_confirms(self, url: str, image: str) -> bool:
        raise ServerRefusal(404, NO_STORES)

    async def deliver(self, run: Run, outcome: Outcome, result: bytes, log: str) -> None:
        async with self._writing:
            record = await asyncio.to_thread(self._open_record, run)
            if record is None:
                return
            record = await asyncio.to_thread(self._journal.close, record, outcome, result, log)
        await self._reply(command="run", **await self._story(record))

    async def _note(self, run: Run, status: RunStatus) -> Record | None:
        """The run's record after its status changed, or None if it has ended."""
        async with self._writing:
            record = await asyncio.to_thread(self._open_record, run)
            if record is None:
                return None
            record = record.model_copy(update={"status": status})
            await asyncio.to_thread(self._journal.write, record)
        await self._reply(command="run", **_facts(record))
        return record

    def _open_record(self, run: Run) -> Record | None:
        record = self._journal.read(run.id)
        ours = record is not None and record.finished_at is None and record.assigned_at == run.assigned_at
        return record if ours else None

    # Being online

    async def stay_connected(self, listener: Listener) -> None:
        """Be online until cancelled, and connect again whenever the connection ends."""
        self._listener = listener
        retry = Backoff()
        while True:
            self._ended.clear()
            try:
                await self._socket.connect(self._node.server, wait_timeout=_PATIENCE)
                # Answered by the library of every server that knows the event.
                await self._socket.call("node_connection_request", "", timeout=_PATIENCE)
                self._known = True
                log.info("online", extra={"fields": {"node": IDENTITY.name, "server": self._node.server}})
                self._connection.came()
                listener.open_runs(await asyncio.to_thread(self._open_runs))
                await self._ended.wait()
                retry.succeeded()
                self._connection.failed("The connection to the server ended.")
            except (SocketIOError, OSError) as error:
                retry.failed()
                self._connection.failed(f"No connection to {self._node.server}: {error or type(error).__name__}.")
            finally:
                self._known = False
                self._connection.left(self._connection.reason or "The node went offline by itself.")
                await self._socket.disconnect()
            await asyncio.sleep(retry.seconds)

    def _open_runs(self) -> list[Run]:
        return [record.run for record in self._journal.records() if record.finished_at is None]

    async def _on_disconnect(self, _: str) -> None:
        self._ended.set()

    # What the server passes on

    async def _on_command(self, *data: Any) -> None:
        asked = data[0] if len(data) == 1 else data
        named = recognised(asked)
        try:
            await self._reply(**{**named, "ok": True, **await self._carry_out(parse(asked))})
        except Refused as refusal:
            log.warning("a command was refused", extra={"fields": {**named, "reason": str(refusal)}})
            await self._reply(**named, ok=False, message=str(refusal))
        except OSError as error:
            log.error("a command can't be carried out", extra={"fields": {**named, "reason": str(error)}})
            sentence = f"The node's task volume can't be used ({error.strerror}); send the command again later."
            await self._reply(**named, ok=False, message=sentence)

    async def _carry_out(self, command: AnyCommand) -> dict[str, Any]:
        match command:
            case RunCommand():
                return await self._accept(command)
            case KillCommand():
                record = await self._record(command.run_id)
                if record.finished_at is not None:
                    raise Refused(f"Run {record.run_id} has ended already, its status is {record.status.value}.")
                self._listener.killed([record.run_id])
                return {"message": "The run will be ended."}
            case ResultCommand():
                return await self._story(await self._record(command.run_id))
            case _:
                records = await asyncio.to_thread(self._journal.records)
                told = [_facts(record) for record in records[:_LISTED]]
                return {"runs": told, "left_off": max(len(records) - _LISTED, 0)}

    async def _accept(self, command: RunCommand) -> dict[str, Any]:
        labels = tuple(database.label for database in self._node.databases)
        async with self._writing:
            record = await asyncio.to_thread(self._journal.accept, command, labels)
        for warning in record.warnings:
            log.warning("a run asks for what is not here", extra={"fields": {"run": record.run_id, "reason": warning}})
        self._listener.new_runs([record.run])
        return {"status": record.status.value, "warnings": list(record.warnings)}

    async def _record(self, run_id: int) -> Record:
        record = await asyncio.to_thread(self._journal.read, run_id)
        if record is None:
            raise Refused(f"Run {run_id} is not known here; the command list shows those that are.")
        return record

    async def _story(self, record: Record) -> dict[str, Any]:
        story = await asyncio.to_thread(self._journal.story, record)
        return {**_facts(record), "warnings": list(record.warnings), **story}

    async def _reply(self, **fields: Any) -> None:
        """Tell; what nobody hears can be asked for by the command `result`."""
        try:
            await self._socket.emit("reply", fields)
        except SocketIOError:
            log.debug("a reply was not sent: no connection")


def _facts(record: Record) -> dict[str, Any]:
    """What there is to say of a run in a line."""
    facts = record.model_dump(mode="json", include={"run_id", "image", "assigned_at", "finished_at", "message"})
    return {**facts, "status": record.status.value}
