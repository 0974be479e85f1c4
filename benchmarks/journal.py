"""Witnesses are processes that write a line for each thing they see; here they are started, and read."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.stage import StageError

_READY_SECONDS = 60


class Journal:
    """A witness's file, read as it grows.

    Args:
        file: of JSON objects, a line each.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0

    def new(self) -> list[dict[str, Any]]:
        """The whole lines since the last time."""
        if not self._file.exists():
            return []
        with self._file.open("rb") as file:
            file.seek(self._read)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


@contextlib.asynccontextmanager
async def witness(module: str, *arguments: str) -> AsyncIterator[str]:
    """Run a witness; what is yielded is the first line it says.

    Raises:
        StageError: it said nothing.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin and process.stdout
    try:
        async with asyncio.timeout(_READY_SECONDS):
            said = (await process.stdout.readline()).decode().strip()
        if not said:
            raise StageError(f"{module} ended before it began; it said why above.")
        yield said
    finally:
        process.stdin.close()
        await process.wait()
