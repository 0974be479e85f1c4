"""A gate whose surroundings a test decides."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from launcher.config.kubernetes import DiagnosticsImage, IsolationSection
from launcher.gate import Gate
from launcher.isolationcheck import NotRunnable, Verdict

HOLDS = Verdict(True, "", [{"name": "proxy"}], ["kubelet"])
BROKEN = Verdict(False, "Algorithms reach the internet.", breached=True)


class Scene:
    """A gate whose surroundings a test decides."""

    def __init__(self, memory: Path, **settings: Any) -> None:
        self.outcome: Verdict | Exception = HOLDS
        self.state: dict[str, Any] | NotRunnable = {"policies": 1}
        self.checks = 0
        self.said: list[tuple[bool, str]] = []
        self.memory = memory
        image = DiagnosticsImage(ref="diagnostics:1")
        self.gate = Gate(IsolationSection(image=image, **settings), self.check, self.tell_state, memory, self.announce)

    async def check(self) -> Verdict:
        self.checks += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def tell_state(self) -> dict[str, Any]:
        if isinstance(self.state, NotRunnable):
            raise self.state
        return self.state

    async def announce(self, good: bool, reason: str) -> None:
        self.said.append((good, reason))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def keeping(scene: Scene) -> AsyncIterator[None]:
    """The gate is kept, until the block ends."""
    task = asyncio.create_task(scene.gate.keep())
    try:
        yield
    finally:
        task.cancel()


async def kept(scene: Scene, condition: Callable[[], bool]) -> None:
    """Keep the gate until `condition` holds."""
    async with keeping(scene):
        await until(condition)
