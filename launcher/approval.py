"""Asks whatever the policies need to know of a run, and settles which image runs: what is approved is what runs."""

import asyncio
import logging
from dataclasses import dataclass

from launcher.backoff import backoff
from launcher.imagereference import ImageReference
from launcher.policies import (
    NO_RULE,
    Decision,
    Policies,
    about_algorithm,
    about_basics,
    about_sender,
    is_listed,
    matches,
    to_compare,
)
from launcher.registry import ImageUnavailable, Registry
from launcher.runs import Cause, Outcome, Run, RunStatus
from launcher.session import ServerRefusal, ServerUnavailable, Session

log = logging.getLogger(__name__)

_STORE_ATTEMPTS = 3
EVERYBODY = "node.policies lets everybody run any algorithm here; list users, organizations, algorithms or stores in it"


@dataclass(frozen=True, slots=True)
class Approved:
    """What may run."""

    ref: str
    """The image: by its digest, or as the task names it where no registry is asked."""
    rule: str
    """The policies by which it may."""


class NotApproved(Exception):  # noqa: N818
    """A run may not start here."""

    def __init__(self, status: RunStatus, sentence: str, rule: str) -> None:
        super().__init__(sentence)
        cause = Cause.POLICY if status is RunStatus.NOT_ALLOWED else Cause.IMAGE
        self.outcome = Outcome(status, sentence, cause=cause)
        self.rule = rule


class Approval:
    """Decides on runs.

    Args:
        policies: the site's.
        session: the server.
        registry: where digests are looked up.
    """

    def __init__(self, policies: Policies, session: Session, registry: Registry) -> None:
        self._policies = policies
        self._session = session
        self._registry = registry
        if policies.open_to_all:
            log.warning(EVERYBODY)

    async def of(self, run: Run) -> Approved:
        """What may run of a run. A registry is asked only about an image that the policies allow, or may allow.

        Raises:
            NotApproved: the policies refuse it, or its registry does not give its image.
            ServerUnavailable: the server does not answer; try again later.
        """
        image = _image(run)
        said = [self._demand(about_basics(self._policies, image)), self._demand(await self._about_sender(run))]
        listed, image = await self._look_up(run, image)
        said.append(self._demand(await self._about_algorithm(run, listed)))
        rule = " and ".join(decision.rule for decision in said if decision and decision.rule != NO_RULE) or NO_RULE
        if not self._policies.require_algorithm_pull:
            return Approved(run.image, rule)
        return Approved(str(await self._pinned(image)), rule)

    @staticmethod
    def _demand(decision: Decision | None) -> Decision | None:
        if decision and not decision.allowed:
            raise NotApproved(RunStatus.NOT_ALLOWED, decision.sentence, decision.rule)
        return decision

    async def _about_sender(self, run: Run) -> Decision | None:
        name = None
        if self._policies.names_organizations:
            try:
                name = await self._session.organization_name(run.init_organization_id)
            except ServerRefusal as refusal:
                log.warning("an organization's name is not told", extra={"fields": {"reason": str(refusal)}})
        return about_sender(self._policies, run.init_user_id, run.init_organization_id, name)

    async def _look_up(self, run: Run, image: ImageReference) -> tuple[bool | None, ImageReference]:
        """Whether `allowed_algorithms` has an image (None: there is no such list), and the image.

        If digests had to be compared, it is returned by its digest: a tag may mean something else a moment later.
        """
        if not self._policies.allowed_algorithms:
            return None, image
        if is_listed(self._policies, run.image):
            return True, image
        others = to_compare(self._policies, image)
        if not others or not self._policies.require_algorithm_pull:
            return False, image
        pinned = await self._pinned(image)
        return pinned.digest in [await self._digest_of_entry(entry) for entry in others], pinned

    async def _about_algorithm(self, run: Run, listed: bool | None) -> Decision:
        either = self._policies.allow_either_whitelist_or_store
        in_store, why = None, ""
        # A store is asked only where its word can change something.
        if self._policies.allowed_algorithm_stores and (not listed if either else listed is not False):
            in_store, why = await self._is_in_store(run)
        return about_algorithm(self._policies, run.image, listed=listed, in_store=in_store, why_not_in_store=why)

    async def _digest_of_entry(self, entry: ImageReference) -> str | None:
        try:
            return await self._registry.digest(entry)
        except ImageUnavailable as error:
            log.warning("an entry of allowed_algorithms can't be looked up", extra={"fields": {"reason": str(error)}})
            return None

    async def _is_in_store(self, run: Run) -> tuple[bool, str]:
        """Whether an allowed store vouches for the image, and a clause on why not."""
        if run.store_id is None:
            return False, "the task names no algorithm store"
        try:
            url = await self._session.store_url(run.store_id)
        except ServerRefusal as refusal:
            return False, f"its algorithm store can't be looked up, {refusal}"
        if not matches(self._policies.allowed_algorithm_stores, url):
            return False, "its algorithm store is none of those"
        for attempt in range(1, _STORE_ATTEMPTS + 1):
            try:
                confirmed = await self._session.store_confirms(url, run.image)
            except (ServerUnavailable, ServerRefusal) as error:
                log.warning("a store can't be asked", extra={"fields": {"store": url, "reason": str(error)}})
                if attempt < _STORE_ATTEMPTS:
                    await asyncio.sleep(backoff(attempt))
            else:
                return confirmed, "" if confirmed else "its algorithm store does not have it"
        return False, "its algorithm store does not answer"

    async def _pinned(self, image: ImageReference) -> ImageReference:
        try:
            return image.pinned(await self._registry.digest(image))
        except ImageUnavailable as error:
            raise NotApproved(RunStatus.NO_DOCKER_IMAGE, str(error), "require_algorithm_pull") from error


def _image(run: Run) -> ImageReference:
    try:
        return ImageReference.parse(run.image)
    except ValueError as error:
        raise NotApproved(RunStatus.NO_DOCKER_IMAGE, str(error), NO_RULE) from error
