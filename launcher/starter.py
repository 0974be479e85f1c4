"""From a run that is open at the server to its Job: a place in line, what the run needs, and the Job created."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from launcher.algorithmenv import UnknownDatabase
from launcher.approval import Approval, NotApproved
from launcher.cluster import Cluster
from launcher.delivery import Parcel
from launcher.destinations import Unresolved
from launcher.ending import Ending
from launcher.invariants import InvariantError
from launcher.kubeapi import ApiRefusal, Tree
from launcher.launch import Launch
from launcher.notices import Notices
from launcher.places import Kind, Places, in_line
from launcher.progress import Stage
from launcher.runcontext import NoRunContext
from launcher.runentry import Entry
from launcher.runs import Cause, Outcome, Run, RunStatus, ServerState
from launcher.session import InputUnreadable, ServerRefusal, Session
from launcher.sighting import Sighting
from launcher.taskfiles import TaskFiles
from launcher.templates import TemplateError

log = logging.getLogger(__name__)

NO_MANIFEST = (TemplateError, InvariantError)

_LOOK_AT_LINE_EVERY = 31.0  # seconds; a vigil speaks after 30


class Starter:
    """Starts runs.

    Args:
        session: the server.
        cluster: the Jobs and pods.
        files: the task volume.
        launch: makes the Jobs' manifests.
        approval: decides what may run.
        places: the node's places for runs.
        sighting: tells of Jobs that nobody has seen yet.
        notices: tells researchers why runs wait.
        ending: delivers what can't be started.
        may_start: whether runs may be started now.
        lacks_room: why no more runs may be taken for now, as a sentence; empty if they may.
        look_again: has a run looked at after so many seconds.
    """

    def __init__(
        self,
        session: Session,
        cluster: Cluster,
        files: TaskFiles,
        launch: Launch,
        approval: Approval,
        *,
        places: Places,
        sighting: Sighting,
        notices: Notices,
        ending: Ending,
        may_start: Callable[[], bool],
        lacks_room: Callable[[], Awaitable[str]],
        look_again: Callable[[int, float], None],
    ) -> None:
        self._session = session
        self._cluster = cluster
        self._files = files
        self._launch = launch
        self._approval = approval
        self._places = places
        self._sighting = sighting
        self._notices = notices
        self._ending = ending
        self._may_start = may_start
        self._lacks_room = lacks_room
        self._look_again = look_again

    async def queue_up(self, run: Run, entry: Entry) -> bool:
        """Get a place, or wait in line: nothing is asked of the server yet, and nothing of the run is in memory."""
        kind = entry.kind
        assert kind is not None
        if self._places.ask(run.id, kind):
            entry.vigil = None
            return True
        before = self._places.before(run.id)
        if before is None or self._places.limit is None:
            return False
        if kind is Kind.SUBTASK and entry.deeper is None:
            entry.deeper = await self._is_deeper(run)
            return True
        await self._notices.waits(run, entry, in_line(self._places.limit, before, kind))
        # The farther back, the more seldom: a thousand runs in line are not to keep the server busy.
        self._look_again(run.id, max(_LOOK_AT_LINE_EVERY, before / 2))
        return False

    async def _is_deeper(self, run: Run) -> bool:
        try:
            return run.parent_id is not None and await self._session.is_subtask(run.parent_id)
        except ServerRefusal:  # it is gone, or none of this node's business: better one too many than one too few
            return True

    async def start(self, run: Run, entry: Entry) -> bool:
        """Take the run and create its Job; where the node lacks room, it stays pending until `resume`."""
        try:
            if why := await self._lacks_room():
                self._give_place_back(run, entry)
                await self._notices.held_back(run, entry, why)
                return False
            entry.progress.reached(Stage.PLACED)
            return await self._launch_it(run, entry)
        except Exception:
            # It is tried again later, and no other has to wait for that.
            self._give_place_back(run, entry)
            raise
        finally:
            self._places.started(run.id)

    def _give_place_back(self, run: Run, entry: Entry) -> None:
        if not entry.sent:  # what may have become a Job counts as one
            self._places.give_back(run.id)

    async def _launch_it(self, run: Run, entry: Entry) -> bool:
        if await self._sighting.unseen_job(run, entry):
            return True
        try:
            content = await self._session.take(run)
        except InputUnreadable as error:
            end = Outcome(RunStatus.FAILED, str(error), cause=Cause.INPUT)
            return await self._ending.deliver(run, entry, Parcel(end))
        if content is None:
            entry.server = ServerState.CLOSED
            return True
        entry.progress.reached(Stage.TAKEN)
        try:
            approved = await self._approval.of(run)
            entry.policy = approved.rule
            # While the server makes the token, the manifest is made.
            token, manifest = await asyncio.gather(
                self._session.algorithm_token(run), self._launch.manifest(run, approved)
            )
            further = self._launch.further_files(run, content)
            await asyncio.to_thread(self._files.prepare, run, content, token, further)
            entry.progress.reached(Stage.WRITTEN)
            if not (self._places.has(run.id) and self._may_start()) or entry.killed:  # any more: all this took a while
                return entry.killed or not self._places.has(run.id)
            entry.sent = True
            job = await self._cluster.create_job(manifest)
        except NotApproved as refusal:
            entry.policy, end = refusal.rule, refusal.outcome
        except (ServerRefusal, UnknownDatabase, NoRunContext, Unresolved, *NO_MANIFEST, ApiRefusal) as error:
            end = Outcome(RunStatus.START_FAILED, _sentence(error), cause=Cause.MANIFEST)
        else:
            entry.progress.reached(Stage.CREATED)
            return await self._launched(run, entry, job)
        entry.sent = False
        return await self._ending.deliver(run, entry, Parcel(end))

    async def _launched(self, run: Run, entry: Entry, job: Tree | None) -> bool:
        seen = job or await self._cluster.read_job(run.name)  # if none was made there is one: have another look at it
        entry.sent = False
        if job:
            log.info("started", extra={"fields": {"run": run.id, "task": run.task_id, "image": run.image}})
        return seen is not None


def _sentence(error: Exception) -> str:
    return f"The algorithm could not be started: {error}"
