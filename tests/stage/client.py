"""vantage6's own client, without its habits: it greets, it takes over the logging, and it returns errors as answers."""

import contextlib
import io
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vantage6.client import UserClient
from vantage6.common import Singleton
from vantage6.common.encryption import RSACryptor

from tests.stage import StageError
from tests.stage.server import API_PATH, Server


def moment(text: str) -> datetime:
    """Return a time as the server writes it: UTC, with or without saying so."""
    time_ = datetime.fromisoformat(text)
    return time_ if time_.tzinfo else time_.replace(tzinfo=UTC)


def log_in(server: Server, name: str, password: str, key: Path | None = None) -> UserClient:
    """Return a real client that is logged in.

    Args:
        server: the server.
        name: of the user.
        password: of the user.
        key: file with the organization's private key, in an encrypted collaboration.

    Raises:
        StageError: the server refused.
    """
    with _quiet():
        client = UserClient(server.url, server.port, API_PATH, log_level="error")
        client.authenticate(name, password)
        if client.whoami is None:
            raise StageError(f"The server at {server.api} refused user {name!r}.")
        # vantage6-common keeps one cryptor for a whole process; here several organizations' researchers are in one.
        Singleton._instances.pop(RSACryptor, None)
        client.setup_encryption(key)
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
