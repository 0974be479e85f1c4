"""A site's HTTP proxy: it opens tunnels (CONNECT) and writes down to where, and for whom."""

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field


@dataclass
class HttpProxy:
    """Listens on an address of this machine, in a thread of its own; names it is asked for are all this address."""

    address: str = "127.0.0.1"
    port: int = 0
    asked: list[str] = field(default_factory=list)
    """Host and port of each tunnel."""
    credentials: list[str] = field(default_factory=list)
    """What each said in Proxy-Authorization."""

    def __enter__(self) -> "HttpProxy":
        self._loop, self._stop = asyncio.new_event_loop(), asyncio.Event()
        ready: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve(ready)), daemon=True)
        self._thread.start()
        self.port = ready.result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self, ready: "Future[int]") -> None:
        server = await asyncio.start_server(self._tunnel, self.address, 0)
        ready.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        await asyncio.sleep(0.1)  # for the tunnels to end

    async def _tunnel(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        head = (await near.readuntil(b"\r\n\r\n")).decode().splitlines()
        method, target, _ = head[0].split(" ")
        assert method == "CONNECT", head[0]
        self.asked.append(target)
        self.credentials += [line.partition(": ")[2] for line in head if line.lower().startswith("proxy-auth")]
        far, forth = await asyncio.open_connection(self.address, int(target.rpartition(":")[2]))
        back.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        ways = [asyncio.ensure_future(_pass_on(near, forth)), asyncio.ensure_future(_pass_on(far, back))]
        stopped = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait([*ways, stopped], return_when=asyncio.FIRST_COMPLETED)
        for each in (*ways, stopped):
            each.cancel()
        for writer in (forth, back):
            writer.close()


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
