"""Wraps the launcher's steps from outside: before, after and within each, something is told."""

import asyncio
import functools
import importlib
import inspect
import json
import os
import re
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager
from typing import Any, Protocol

from .steps import STEPS, Step

At = Callable[[str, str, int | None], None]
"""Told (when, step, run): when is `before`, `after`, or `within`, before each change of the volume."""
RUN_ID = "v6-node.vantage6.ai/run-id"
GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 1 (2)"}
_OF_A_RUN = re.compile(r"run-(\d+)")
_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod"}
_busy_with = threading.local()


def wrap_all(at: At) -> None:
    """Wrap every step, for good.

    Raises:
        AttributeError: the launcher has no such callable.
    """
    for step in STEPS:
        owner: Any = importlib.import_module(step.module)
        *classes, name = step.call.split(".")
        for each in classes:
            owner = getattr(owner, each)
        setattr(owner, name, _wrapped(getattr(owner, name), step, at))
    sys.addaudithook(_tell_of_changes)


def _wrapped(call: Callable[..., Any], step: Step, at: At) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(call):

        @functools.wraps(call)
        async def generator(*args: Any, **further: Any) -> AsyncIterator[Any]:
            at("before", step.name, run_of(args[1]))
            async for each in call(*args, **further):
                yield each
            at("after", step.name, run_of(args[1]))

        return generator
    if inspect.iscoroutinefunction(call):

        @functools.wraps(call)
        async def coroutine(*args: Any, **further: Any) -> Any:
            at("before", step.name, run_of(args[1]))
            answer = await call(*args, **further)
            at("after", step.name, run_of(args[1]))
            return answer

        return coroutine

    @functools.wraps(call)
    def plain(*args: Any, **further: Any) -> Any:
        run = run_of(args[1])
        at("before", step.name, run)
        with _watched(lambda: at("within", step.name, run)) if step.volume else _unwatched():
            answer = call(*args, **further)
        at("after", step.name, run)
        return answer

    return plain


def run_of(what: Any) -> int | None:
    """The run that a call is about, by its first argument: a run, its number, its Job, or a name."""
    if isinstance(what, int):
        return what
    if isinstance(what, str):
        found = _OF_A_RUN.match(what)
        return int(found[1]) if found else None
    if isinstance(what, dict):
        number = (what["metadata"].get("labels") or {}).get(RUN_ID)
        return int(number) if number else None
    return int(what.id)


# Within a step that changes the volume: Python itself announces each change before it makes it
# (https://docs.python.org/3/library/audit_events.html).


@contextmanager
def _watched(told: Callable[[], None]) -> Any:
    _busy_with.told = told
    try:
        yield
    finally:
        _busy_with.told = None


@contextmanager
def _unwatched() -> Any:
    yield


def _tell_of_changes(event: str, args: tuple[Any, ...]) -> None:
    told = getattr(_busy_with, "told", None)
    if told and is_change(event, args):
        _busy_with.told = None  # what is told may open files too
        try:
            told()  # raises, and the change is not made
        finally:
            _busy_with.told = told


def is_change(event: str, args: tuple[Any, ...]) -> bool:
    """Whether an event of Python's is a change of a file or folder that is about to be made."""
    if event == "open":
        return bool((args[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return event in _CHANGES


# Watches


class Watched(Protocol):
    """Says what watches shall hear."""

    expiries: int
    deaf_until: float


def distort_watches(told: Watched) -> None:
    """Let every watch hear 410 Gone, and end, whenever `expiries` has grown; and that of pods nothing for a while."""
    from launcher.kubeapi import KubeApi  # noqa: PLC0415  what is wrapped is imported by whoever wraps

    original = KubeApi.lines

    async def lines(self: KubeApi, path: str, query: dict[str, Any]) -> AsyncIterator[bytes]:
        began = told.expiries
        stream = original(self, path, query)
        following = None
        try:
            while True:
                following = following or asyncio.ensure_future(anext(stream, None))
                await asyncio.wait({following}, timeout=0.2)
                if told.expiries > began:
                    yield json.dumps({"type": "ERROR", "object": GONE}).encode()
                    return
                if path.endswith("/pods") and (deaf := told.deaf_until - time.monotonic()) > 0:
                    await asyncio.sleep(min(deaf, 0.2))
                elif following.done():
                    line, following = following.result(), None
                    if line is None:
                        return
                    yield line
        finally:
            if following:
                following.cancel()
                await asyncio.wait({following})
            await stream.aclose()

    KubeApi.lines = lines  # type: ignore[method-assign]
