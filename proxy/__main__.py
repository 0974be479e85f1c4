"""`python -m proxy`: the algorithms' only way out, from start to stop."""

import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from launcher import logs
from launcher.config import ConfigError, NodeConfig
from launcher.config.kubernetes import ServerAccess
from launcher.encryption import MOUNTED_KEY, Encrypted, Plain, encryption
from launcher.metricsport import PORT as METRICS_PORT
from launcher.metricsport import application as metrics_application
from proxy.app import application, status_application
from proxy.forward import Forwarder
from proxy.metrics import REGISTRY
from proxy.whose import Whose

log = logging.getLogger("proxy")

PORT, STATUS_PORT = 8080, 8081
DRAIN_SECONDS = 2.0  # the Service may still send requests here for a moment after SIGTERM
SHUTDOWN_SECONDS = 20.0  # for requests under way; below the pod's terminationGracePeriodSeconds
MAX_HEADER_BYTES = 2**17  # a container token holds the task's database parameters, queries included


def main() -> int:
    """Read the configuration, serve until SIGTERM; the process's exit code."""
    try:
        config = NodeConfig.load(Path(os.environ.get("V6_NODE_CONFIG", "/etc/v6-node/node.yaml")))
        key = Path(os.environ.get("V6_NODE_PRIVATE_KEY", MOUNTED_KEY))
        cryptor = encryption(config.node.encryption.enabled, key)
    except ConfigError as error:
        logs.configure("INFO")
        log.critical("configuration refused", extra={"fields": {"reason": str(error)}})
        return 1
    logs.configure(config.node.logging.level)
    logging.getLogger("aiohttp.server").addFilter(_is_no_garbage)
    launcher = os.environ.get("V6_NODE_LAUNCHER", "http://v6-node-launcher:8081")
    try:
        asyncio.run(serve(config.node.api_url, launcher, cryptor, config.kubernetes.server))
    except ConfigError as error:
        log.critical("configuration refused", extra={"fields": {"reason": str(error)}})
        return 1
    return 0


async def serve(api_url: str, launcher: str, cryptor: Plain | Encrypted, access: ServerAccess) -> None:
    """Serve algorithms and probes until SIGTERM or SIGINT; then finish what is under way."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Forwarder(api_url, access=access) as forwarder:
        algorithms = await _listen(application(forwarder, Whose(launcher), cryptor), PORT)
        others = [
            await _listen(status_application(), STATUS_PORT),
            await _listen(metrics_application(REGISTRY), METRICS_PORT),
        ]
        log.info("ready", extra={"fields": {"server": api_url, "port": PORT}})
        await stop.wait()
        log.info("stopping")
        await asyncio.sleep(DRAIN_SECONDS)
        await algorithms.cleanup()
        for each in others:
            await each.cleanup()
    log.info("stopped")


def _is_no_garbage(record: logging.LogRecord) -> bool:
    """Of what is no HTTP, aiohttp would log the very bytes: a token among them, at an algorithm's will."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


async def _listen(app: web.Application, port: int) -> web.AppRunner:
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=SHUTDOWN_SECONDS,
        max_field_size=MAX_HEADER_BYTES,
        max_line_size=MAX_HEADER_BYTES,
        auto_decompress=False,  # aiohttp would unpack what is refused, to read past it
    )
    await runner.setup()
    await web.SockSite(runner, _socket(port)).start()
    return runner


def _socket(port: int) -> socket.socket:
    """All addresses of the pod: both families, or IPv4 alone where the cluster has no IPv6."""
    try:
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    except OSError:
        return socket.create_server(("", port))


if __name__ == "__main__":
    sys.exit(main())
