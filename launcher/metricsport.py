"""Where launcher and proxy show their metrics: a port of its own, on which a scraper finds nothing else to ask."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

PORT = 8082


def registry() -> CollectorRegistry:
    """What the metrics of one program are registered with; it has the process's own (memory, processor) already."""
    made = CollectorRegistry(auto_describe=True)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=made)
    return made


def application(metrics: CollectorRegistry, refresh: Callable[[], None] = lambda: None) -> web.Application:
    """The server for scrapers, which answers `GET /metrics` in the text format of Prometheus.

    Args:
        metrics: what is shown.
        refresh: called before, to set what is counted only when somebody asks.
    """

    async def show(_: web.Request) -> web.Response:
        refresh()
        return web.Response(body=generate_latest(metrics), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/metrics", show)
    return app


class MetricsPort:
    """The launcher's, for an `async with`.

    Args:
        metrics: what is shown.
        port: where.
    """

    def __init__(self, metrics: CollectorRegistry, port: int = PORT) -> None:
        self.refresh: Callable[[], None] = lambda: None
        """Called before the metrics are shown."""
        self._runner = web.AppRunner(application(metrics, self._refresh), access_log=None)
        self._port = port

    def _refresh(self) -> None:
        self.refresh()

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, port=self._port).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
