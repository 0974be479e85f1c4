"""vantage6's own client, without its habits: it greets, it takes over the logging, and it returns errors as answers."""

import contextlib
import io
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from vantage6.client import UserClient

from tests.stage import StageError
from tests.stage.server import API_PATH, Server


def moment(text: str) -> datetime:
    """Return a time as the server writes it: UTC, with or without saying so."""
    time_ = datetime.fromisoformat(text)
    return time_ if time_.tzinfo else time_.replace(tzinfo=UTC)


def log_in(server: Server, name: str, password: str) -> UserClient:
    """Return a real client that is logged in.

    Raises:
        StageError: the server refused.
    """
    with _quiet():
        client = UserClient(server.url, server.port, API_PATH, log_level="error")
        client.authenticate(name, password)
        if client.whoami is None:
            raise StageError(f"The server at {server.api} refused user {name!r}.")
        client.setup_encryption(None)
    return client


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the client's welcome off the screen, and its hands off the root logger, whose handlers it replaces."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def made(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer, unless it is an error, which the client passes on as if it were one."""
    if "id" not in answer:
        raise StageError(f"The server refused: {answer}")
    return answer
