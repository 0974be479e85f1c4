"""The proxy as a process of its own on loopback, whose memory, open files and log can be looked at from outside."""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import ClientError, ClientSession, web
from aiohttp.test_utils import TestServer, unused_port

DOCKERFILE = Path(__file__).parents[2] / "ci/images/v6-node/Dockerfile"
CONFIGURATION = """
node: {{server_url: "http://127.0.0.1", port: {port}, api_path: /api, encryption: {{enabled: {encrypted}}}}}
kubernetes:
  namespace: n
  release: r
  chart: c
  image: i
  isolation: {{image: {{ref: d}}}}
  proxy: {{service: v6-node-proxy, port: 80}}
  algorithmServiceAccount: v6-node-algorithm
  taskVolume: {{claim: v6-node-tasks}}
"""
# `python -m proxy`, but on ports that are free.
_PROGRAM = """
import sys, proxy.__main__ as m
m.PORT, m.STATUS_PORT, m.METRICS_PORT = map(int, sys.argv[1:])
sys.exit(m.main())
"""


class Measured:
    """A process as the kernel sees it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def memory(self) -> int:
        """Bytes resident now."""
        return self._bytes("VmRSS:")

    def peak(self) -> int:
        """The most bytes that were ever resident, or since `forget_peak`."""
        return self._bytes("VmHWM:")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def descriptors(self) -> int:
        """How many files and connections it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def cpu(self) -> float:
        """Seconds of computing so far, which other processes' load does not change."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _bytes(self, name: str) -> int:
        return int(Path(f"/proc/{self.pid}/status").read_text().partition(name)[2].split()[0]) * 1024


class ProxyProcess(Measured):
    """A proxy that runs.

    Args:
        pid: of its process.
        port: for algorithms.
        log: what it prints.
    """

    def __init__(self, pid: int, port: int, log: Path) -> None:
        super().__init__(pid)
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = log


def allocator() -> dict[str, str]:
    """How memory is given back in the product's image: a process whose memory is judged does it likewise."""
    return dict(re.findall(r"\b(MALLOC_\w+)=(\S+)", DOCKERFILE.read_text()))


async def start_proxy(config: Path, *ports: int, log: int, **environment: str) -> asyncio.subprocess.Process:
    """Start the program; its standard output goes to `log`."""
    variables = {**os.environ, **allocator(), "V6_NODE_CONFIG": str(config), **environment}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, *map(str, ports), env=variables, stdout=log
    )


@contextlib.asynccontextmanager
async def proxy_process(
    folder: Path, server_port: int, identity: dict[str, int], key: Path | None = None
) -> AsyncIterator[ProxyProcess]:
    """A proxy in front of a server on this port of 127.0.0.1, with a launcher that says who this node is.

    Args:
        folder: for its configuration and log.
        server_port: of the server, whose API is at /api.
        identity: what the launcher says.
        key: file with the private key, in an encrypted collaboration.
    """

    async def tell(_: web.Request) -> web.Response:
        return web.json_response(identity)

    launcher = web.Application()
    launcher.router.add_get("/identity", tell)
    config, log = folder / "node.yaml", folder / "proxy.log"
    config.write_text(CONFIGURATION.format(port=server_port, encrypted=str(key is not None).lower()))
    ports = unused_port(), unused_port(), unused_port()
    async with TestServer(launcher) as status:
        environment = {
            "V6_NODE_LAUNCHER": str(status.make_url("")).rstrip("/"),
            "V6_NODE_PRIVATE_KEY": str(key or folder / "none"),
        }
        with log.open("wb") as file:
            process = await start_proxy(config, *ports, log=file.fileno(), **environment)
        try:
            await _listening(ports[1])
            yield ProxyProcess(process.pid, ports[0], log)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _listening(port: int) -> None:
    async with asyncio.timeout(30), ClientSession() as http:
        while True:
            try:
                async with http.get(f"http://127.0.0.1:{port}/healthz"):
                    return
            except ClientError:
                await asyncio.sleep(0.1)
