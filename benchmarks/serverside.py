"""The vantage6 server, called raw: by a researcher who sends tasks, and by a script in the place of a node."""

import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import socketio

from benchmarks.calls import ASK, TELL, Call, Ids, readdressed
from tests.stage import StageError
from tests.stage.federation import Collaboration

API_PATH = "/api"
_EVENTS = "/tasks"
"""The server's socket.io namespace."""


class Caller:
    """Calls with a token, over connections that are kept.

    Args:
        http: carries them.
        base: scheme, host and port.
        token: of who calls.
    """

    def __init__(self, http: aiohttp.ClientSession, base: str, token: str = "") -> None:
        self._http = http
        self._base = base
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def call(self, method: str, path: str, body: Any = None, query: str = "") -> dict[str, Any]:
        """Call, and return the answer.

        Raises:
            StageError: the server refuses.
        """
        url = f"{self._base}{path}{'?' if query else ''}{query}"
        async with self._http.request(method, url, json=body, headers=self._headers) as answer:
            text = await answer.text()
            if answer.status >= 400:
                raise StageError(f"{method} {path} was answered {answer.status}: {text[:500]}")
            return cast(dict[str, Any], json.loads(text or "{}"))


@dataclass(frozen=True)
class Sent:
    """A task that was sent: its number, and when, in seconds since 1970."""

    task: int
    at: float


class Sender:
    """A researcher who sends tasks of one run each, as vantage6-client does, but many at a time.

    Args:
        caller: with the researcher's token.
        administrator: with the administrator's: a researcher may not kill.
        collaboration: the researcher's.
        organization: whose node gets them.
    """

    def __init__(self, caller: Caller, administrator: Caller, collaboration: int, organization: int) -> None:
        self._caller = caller
        self._administrator = administrator
        self._collaboration = collaboration
        self._organization = organization

    @classmethod
    async def of(cls, http: aiohttp.ClientSession, collaboration: Collaboration) -> "Sender":
        """A new researcher of the collaboration's first organization."""
        organization = collaboration.nodes[0].organization
        name, password = collaboration.federation.user(organization)
        server = collaboration.federation.server
        base = f"{server.url}:{server.port}"

        async def log_in(name: str, password: str) -> Caller:
            login = {"username": name, "password": password}
            answer = await Caller(http, base).call("POST", f"{API_PATH}/token/user", login)
            return Caller(http, base, answer["access_token"])

        callers = await log_in(name, password), await log_in("root", server.root_password)
        return cls(*callers, collaboration.id, organization.id)

    async def send(self, image: str, method: str, *arguments: Any, name: str = "") -> Sent:
        """Send a task that calls `method(*arguments)`; its name is the method's unless it is given."""
        wanted = {"method": method, "args": list(arguments), "kwargs": {}}
        task = {
            "name": name or method,
            "image": image,
            "description": "",
            "organizations": [
                {"id": self._organization, "input": base64.b64encode(json.dumps(wanted).encode()).decode()}
            ],
            "databases": [],
            "collaboration_id": self._collaboration,
        }
        at = time.time()
        return Sent(int((await self._caller.call("POST", f"{API_PATH}/task", task))["id"]), at)

    async def kill(self, task: int) -> None:
        """Order a task to be killed."""
        await self._administrator.call("POST", f"{API_PATH}/kill/task", {"id": task})

    async def result(self, task: int) -> Any:
        """What the only run of a task returned."""
        answer = await self._caller.call("GET", f"{API_PATH}/result", query=f"task_id={task}")
        return json.loads(base64.b64decode(answer["data"][0]["result"]))

    async def status(self, task: int) -> str:
        """The status of the only run of a task."""
        answer = await self._caller.call("GET", f"{API_PATH}/run", query=f"task_id={task}")
        return str(answer["data"][0]["status"])


def ids_of(collaboration: Collaboration, run: int, task: int) -> Ids:
    """What the calls of a collaboration's first node about a run have that others' have not."""
    node = collaboration.nodes[0]
    return Ids(run, task, node.id, node.organization.id, collaboration.id)


class Shadow:
    """A script in the place of a node: it makes the calls that a node was seen to make, for runs of its own.

    It is online like a node too, so that the server has the same to tell it, and sends the events that the node sent.

    Args:
        caller: with the node's token.
        events: the connection over socket.io.
        collaboration: of which it is the first node.
    """

    def __init__(self, caller: Caller, events: socketio.AsyncClient, collaboration: Collaboration) -> None:
        self._caller = caller
        self._events = events
        self._collaboration = collaboration

    @classmethod
    @contextlib.asynccontextmanager
    async def online(
        cls, http: aiohttp.ClientSession, base: str, collaboration: Collaboration
    ) -> "AsyncIterator[Shadow]":
        """Log in with the key of a node that is nowhere."""
        key = collaboration.nodes[0].api_key
        answer = await Caller(http, base).call("POST", f"{API_PATH}/token/node", {"api_key": key})
        token = answer["access_token"]
        events = socketio.AsyncClient(http_session=http, handle_sigint=False)
        headers = {"Authorization": f"Bearer {token}"}
        await events.connect(base, headers=headers, namespaces=[_EVENTS], transports=["websocket"])
        try:
            yield cls(Caller(http, base, token), events, collaboration)
        finally:
            await events.disconnect()

    async def ids_of(self, task: int) -> Ids:
        """What calls about a task's run have; for its number it is asked as the node asks."""
        node = self._collaboration.nodes[0]
        query = f"state=open&node_id={node.id}&include=task&sort=id&per_page=100&task_id={task}"
        answer = await self._caller.call("GET", f"{API_PATH}/run", query=query)
        return ids_of(self._collaboration, int(answer["data"][0]["id"]), task)

    async def replay(self, calls: Sequence[Call], old: Ids, new: Ids) -> None:
        """Make the calls one after the other, about another run."""
        for call in calls:
            wanted = readdressed(call, old, new)
            if wanted.method == TELL:
                await self._events.emit(wanted.path, wanted.body, namespace=_EVENTS)
            elif wanted.method == ASK:
                await self._events.call(wanted.path, wanted.body, namespace=_EVENTS)
            else:
                await self._caller.call(wanted.method, wanted.path, wanted.body, wanted.query)
