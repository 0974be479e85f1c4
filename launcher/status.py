"""What is asked of the launcher: is it alive, ready, online, are its algorithms isolated; and to leave, at the end."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from launcher.connection import Connection
from launcher.leaving import Refused
from launcher.session import Identity

if TYPE_CHECKING:  # the gate's check itself needs the port below
    from launcher.databasecheck import DatabaseCheck
    from launcher.gate import Gate

PORT = 8081


class Status:
    """What the launcher answers to Kubernetes, the proxy, `helm test` and `helm uninstall`.

    Ready is not online: an outage of the server is not a fault of this pod. `v6_node_online` in the metrics tells.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.waits_for: str | None = "the API server"
        """What the node still waits for; None when it is ready."""
        self.gate: Gate | None = None
        """The gate, as soon as there is one."""
        self.identity: Identity | None = None
        """Who this node is at the server, as soon as the server said so."""
        self.databases: DatabaseCheck | None = None
        """What is known of the file databases, as soon as something can be."""
        self.waived: tuple[str, ...] = ()
        """The rules for jobs that the site gave up."""
        self.leave: Callable[[], Awaitable[dict[str, Any]]] | None = None
        """Ends what runs, as the node is uninstalled; as soon as there is something that may run."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/identity", self._identity),
                web.get("/connection", self._show_connection),
                web.get("/databases", self._show_databases),
                web.post("/databases", self._look_at_databases),
                web.get("/isolation", self._isolation),
                web.post("/isolation", self._check_isolation),
                web.post("/leave", self._leave),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)

    async def serve(self, port: int = PORT) -> list[Any]:
        """Answer until `close`; returns the addresses where."""
        await self._runner.setup()
        await web.TCPSite(self._runner, port=port).start()
        return self._runner.addresses

    async def close(self) -> None:
        """Answer no more."""
        await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(text=f"{self.waits_for or 'ready'}\n", status=503 if self.waits_for else 200)

    async def _identity(self, _: web.Request) -> web.Response:
        # The proxy asks: it has no API key, and has to know whose algorithms it serves.
        if self.identity is None:
            return web.json_response({"reason": "The node is not logged in at the server yet."}, status=503)
        identity = self.identity
        return web.json_response(
            {
                "node_id": identity.node_id,
                "organization_id": identity.organization_id,
                "collaboration_id": identity.collaboration_id,
            }
        )

    async def _show_connection(self, _: web.Request) -> web.Response:
        return web.json_response(self._connection.table())

    async def _show_databases(self, _: web.Request) -> web.Response:
        found = self.databases.findings if self.databases else []
        return web.json_response([asdict(each) for each in found])

    async def _look_at_databases(self, request: web.Request) -> web.Response:
        if self.databases and self.gate and self.gate.is_open:
            await self.databases.look()
        return await self._show_databases(request)

    async def _isolation(self, _: web.Request) -> web.Response:
        if self.gate is None:
            return self._not_yet()
        return web.json_response(self._table(self.gate))

    async def _check_isolation(self, request: web.Request) -> web.Response:
        if self.gate is not None:
            await self.gate.check_now()
        return await self._isolation(request)

    async def _leave(self, _: web.Request) -> web.Response:
        if self.leave is None:
            return self._not_yet()
        try:
            return web.json_response(await self.leave())
        except Refused as refusal:
            return web.json_response({"reason": str(refusal)}, status=403)

    def _not_yet(self) -> web.Response:
        return web.json_response({"reason": f"The node waits for {self.waits_for or 'the server'}."}, status=503)

    def _table(self, gate: "Gate") -> dict[str, Any]:
        at = gate.checked_at
        return {
            "passed": gate.verdict.passed,
            "unknown": gate.verdict.unknown,
            "open": gate.is_open,
            "reason": gate.verdict.reason,
            "checked_at": at and datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds"),
            "accepted": gate.verdict.accepted,
            "untried": gate.verdict.untried,
            "waived": self.waived,
            "rows": gate.verdict.rows,
        }
