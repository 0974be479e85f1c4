"""The vantage6 server, called raw: by a researcher who sends tasks, and by a script in the place of a node."""

import base64
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import aiohttp

from benchmarks.calls import Call, Ids, readdressed
from tests.stage import StageError
from tests.stage.federation import Collaboration, NodeAccount

API_PATH = "/api"


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
    async def of(cls, http: aiohttp.ClientSession, collaboration: Collaboration, account: NodeAccount) -> "Sender":
        """A new researcher of the collaboration."""
        organization = account.organization
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


class Shadow:
    """A script in the place of a node: it makes the calls that a node was seen to make, for runs of its own.

    Args:
        caller: with the node's token.
        node: its number.
    """

    def __init__(self, caller: Caller, node: int) -> None:
        self._caller = caller
        self.node = node

    @classmethod
    async def of(cls, http: aiohttp.ClientSession, base: str, account: NodeAccount) -> "Shadow":
        """Log in with the key of a node that is nowhere."""
        answer = await Caller(http, base).call("POST", f"{API_PATH}/token/node", {"api_key": account.api_key})
        return cls(Caller(http, base, answer["access_token"]), account.id)

    async def run_of(self, task: int) -> int:
        """The run of a task, asked for as the node does."""
        query = f"state=open&node_id={self.node}&include=task&sort=id&per_page=100&task_id={task}"
        answer = await self._caller.call("GET", f"{API_PATH}/run", query=query)
        return int(answer["data"][0]["id"])

    async def replay(self, calls: Sequence[Call], old: Ids, new: Ids) -> None:
        """Make the calls one after the other, about another run."""
        for call in calls:
            wanted = readdressed(call, old, new)
            await self._caller.call(wanted.method, wanted.path, wanted.body, wanted.query)
