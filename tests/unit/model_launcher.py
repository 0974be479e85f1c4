"""A launcher in a model's world.

Real are reconciler, queue, delivery, logs, files and the mirror of the cluster; server, approval and manifests are not.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

from launcher.approval import Approved, NotApproved
from launcher.backoff import backoff
from launcher.cluster import Cluster
from launcher.config.jobs import Jobs
from launcher.jobmarks import ownership
from launcher.kubeapi import Tree
from launcher.reconciler import Reconciler
from launcher.runs import Outcome, Run, RunStatus
from launcher.session import InputUnreadable, ServerRefusal, ServerUnavailable
from launcher.taskfiles import TaskFiles
from tests.unit.model_kubernetes import Api
from tests.unit.model_process import Process
from tests.unit.model_world import World, input_of
from tests.unit.test_taskfiles import IDENTITY

_DOWN = ServerUnavailable("the server is away")
_SYNC_EVERY = 600.0


class Launcher(Process):
    """The launcher, put together as launcher/node.py does it."""

    def __init__(self, world: World) -> None:
        super().__init__(world.clock, world.fate)
        self.world = world
        self.reconciler: Reconciler | None = None
        self.taken: set[int] = set()
        self.kills: set[int] = set()
        self.delivered: set[int] = set()
        self.heard_of: set[int] = set()
        self.deaf = False
        self._sync_wanted = asyncio.Event()
        self.loop.call_soon(lambda: self.loop.create_task(self._main(), name="main"))

    async def _main(self) -> None:
        api = Api(
            self,
            self.world.kubernetes,
            creating=self.world.creating,
            created=self.world.created,
            refused=self.world.refused,
            deleting=self.world.deleting,
        )
        session = FakeSession(self)
        cluster = self.cluster = Cluster(api, "x")  # type: ignore[arg-type]
        reconciler = Reconciler(
            session,  # type: ignore[arg-type]
            cluster,
            TaskFiles(self.world.folder, IDENTITY),
            FakeLaunch(),  # type: ignore[arg-type]
            Jobs(maxConcurrent=self.world.limit),
            approval=FakeApproval(self),  # type: ignore[arg-type]
            share_logs=True,
            may_start=lambda: self.world.gate_open,
            lacks_room=self._lacks_room,
            keep_failed=lambda: self.world.keep_failed,
        )
        watch = asyncio.create_task(cluster.watch(), name="watch")
        await cluster.first_look()
        cluster.on_change = reconciler.changed
        reconciler.recover()
        self.reconciler = reconciler
        failures = 0
        while not watch.done():
            self._sync_wanted.clear()
            try:
                reconciler.open_runs(await session.open_runs(None))
                failures = 0
            except ServerUnavailable:
                failures += 1
                await asyncio.sleep(backoff(failures))
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(_SYNC_EVERY):
                    await self._sync_wanted.wait()
            while self.deaf:
                await self.news(_SYNC_EVERY)
        watch.result()

    async def _lacks_room(self) -> str:
        await asyncio.sleep(0)
        return "" if self.world.has_room else "The volume is nearly full."

    async def finish(self) -> None:
        if self.reconciler:
            await self.reconciler.close(0)

    def known_jobs(self) -> set[str]:
        """The uids of the Jobs that it has seen, and has had the time to take note of."""
        if self.dead or self.reconciler is None:
            return set()
        busy = self.busy_with()
        jobs = [self.cluster.job(run_id) for run_id in self.heard_of if f"run-{run_id}" not in busy]
        return {job["metadata"]["uid"] for job in jobs if job}

    def tell_reconciler(self, what: str, *args: Any) -> None:
        """An event for the reconciler."""
        if self.reconciler and not self.dead:
            self.loop.call_soon(getattr(self.reconciler, what), *args)

    def sync(self) -> None:
        """The connection was lost and is there again."""
        self.deaf = False
        self.tell()
        if not self.dead:
            self.loop.call_soon(self._sync_wanted.set)

    def hint(self, task_id: int) -> None:
        """The server tells of a new task."""
        if self.reconciler and not self.dead:
            self.loop.call_soon(lambda: self.loop.create_task(self._on_new_task(task_id), name="hint"))

    async def _on_new_task(self, task_id: int) -> None:
        assert self.reconciler
        try:
            self.reconciler.new_runs(await FakeSession(self).open_runs(task_id))
        except ServerUnavailable:
            self._sync_wanted.set()


class FakeSession:
    identity = IDENTITY

    def __init__(self, launcher: Launcher) -> None:
        self._launcher, self._world = launcher, launcher.world

    async def _ask(self, name: str, effect: Any, refuse: Any = None) -> Any:
        return await self._launcher.call(name, effect, _DOWN, refuse)

    async def open_runs(self, task_id: int | None) -> list[Run]:
        runs: list[Run] = await self._ask("open", lambda: self._world.open_runs(task_id))
        self._launcher.heard_of |= {run.id for run in runs}
        return runs

    async def find(self, run_id: int) -> Run | None:
        record = await self._ask("find", lambda: replace(self._world.server[run_id]))
        self._launcher.heard_of.add(run_id)
        return None if record.closed else record.run

    async def take(self, run: Run) -> bytes | None:
        def effect() -> bytes | None:
            record = self._world.server[run.id]
            self._launcher.taken.discard(run.id)
            if record.closed:
                return None
            self._launcher.taken.add(run.id)
            return input_of(run.id)

        content: bytes | None = await self._ask("take", effect)
        if content is not None and self._world.server[run.id].kind == "unreadable":
            raise InputUnreadable("It can't be decrypted.")
        return content

    async def algorithm_token(self, run: Run) -> str:
        def refuse() -> ServerRefusal:
            self._world.refused(run.id)
            return ServerRefusal(400, "no")

        return str(await self._ask("token", lambda: f"token {run.id}", refuse))

    async def is_subtask(self, task_id: int) -> bool:
        def refuse() -> ServerRefusal:
            self._world.untold.add(task_id)
            return ServerRefusal(404, "not found")

        return bool(await self._ask("parent", lambda: self._world.server[task_id - 100].run.parent_id, refuse))

    async def report_active(self, run: Run) -> None:
        await self._ask("active", lambda: None, lambda: ServerRefusal(400, "no"))

    async def show_log(self, run: Run, text: str) -> bool:
        return not self._world.server_away

    async def deliver(self, run: Run, end: Outcome, result: bytes, log: str) -> None:
        def effect() -> bool:
            if self._world.server[run.id].kind == "too large" and result:
                return False
            self._world.deliver(run, end, result, log)
            return True

        self._world.expect(run.id not in self._launcher.delivered, f"run {run.id} was delivered once more")
        if not await self._ask("deliver", effect):
            raise ServerRefusal(413, "too large")
        self._launcher.delivered.add(run.id)


class FakeApproval:
    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    async def of(self, run: Run) -> Approved:
        await self._launcher.call("approve", lambda: None, _DOWN)
        if run.image == "forbidden":
            raise NotApproved(RunStatus.NOT_ALLOWED, "no", "allowed_algorithms")
        return Approved("image@sha256:1", "allowed_users")


class FakeLaunch:
    async def manifest(self, run: Run, approved: Approved) -> Tree:
        return {"run": run.id, "annotations": ownership(IDENTITY, run)}

    def further_files(self, run: Run, content: bytes) -> dict[str, bytes]:
        return {}

    async def moved(self, run: Run, job: Tree) -> str:
        return ""

    def is_ours(self, job: Tree, run: Run | None) -> bool:
        annotations = job["metadata"]["annotations"]
        return all(annotations.get(key) == value for key, value in ownership(IDENTITY, run).items())
