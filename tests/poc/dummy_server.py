"""The dummy server: passes commands on to the node, and the node's replies back. It remembers nothing but who is who.

    python -m tests.poc.dummy_server tests/poc/server_config.yaml

| event                     | from              | what happens                                            |
|---------------------------|-------------------|---------------------------------------------------------|
| `node_connection_request` | the node          | commands go to it from now on                           |
| `command_request`         | a command emitter | its payload goes to the node, as `command`              |
| `reply`                   | the node          | its payload goes to everybody else who is connected     |
"""

import sys
from pathlib import Path
from typing import Any

import socketio
import yaml
from aiohttp import web


def application() -> web.Application:
    """The server, to be run."""
    server = socketio.AsyncServer(async_mode="aiohttp")
    node: list[str] = []

    @server.on("connect")
    async def _connect(sid: str, _: dict[str, Any]) -> None:
        _say("connected", sid)

    @server.on("disconnect")
    async def _disconnect(sid: str) -> None:
        _say("disconnected", sid)

    @server.on("node_connection_request")
    async def _node(sid: str, data: Any) -> None:
        _say("the node is", sid, data)
        node[:] = [sid]

    @server.on("command_request")
    async def _command(sid: str, data: Any) -> None:
        _say("command from", sid, "to", *(node or ["nobody"]))
        for receiver in node:
            await server.emit("command", data, to=receiver)

    @server.on("reply")
    async def _reply(sid: str, data: Any) -> None:
        if sid in node:
            _say("reply from the node")
            await server.emit("reply", data, skip_sid=sid)

    app = web.Application()
    server.attach(app)
    return app


def _say(*words: object) -> None:
    print(*words, flush=True)


if __name__ == "__main__":
    settings = yaml.safe_load(Path(sys.argv[1]).read_text())
    _say("settings:", settings)
    web.run_app(application(), host=settings["server_ip"], port=settings["port"], print=_say)
