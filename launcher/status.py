"""What Kubernetes and Prometheus ask the launcher: is it alive, is it ready, is it online, what did it deliver."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

PORT = 8081


async def serve_status(ready: Callable[[], str | None], port: int = PORT) -> web.AppRunner:
    """Answer `/healthz`, `/readyz` and `/metrics` until the returned runner is cleaned up.

    Ready is not online: an outage of the server is not a fault of this pod. `v6_node_online` in the metrics tells.

    Args:
        ready: what the node still waits for, or None when it is ready.
        port: where to listen.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readyz(_: web.Request) -> web.Response:
        waits_for = ready()
        return web.Response(text=f"{waits_for or 'ready'}\n", status=503 if waits_for else 200)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
