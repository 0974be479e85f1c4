"""Who may run what here: the pure decision over `node.policies` of the vantage6 node configuration.

What the keys mean is what the reference node (vantage6-node 4.15, docker/docker_manager.py) makes of them, without its
faults: users and organizations are compared as text, whether they were written as numbers or not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from launcher.imagereference import ImageReference
from launcher.section import Section

BASICS = "ghcr.io/vantage6/algorithm-basics"
# What makes an entry a regular expression for vantage6; a dot does not, as every registry's name has one.
_PATTERN = re.compile(r"[*\\?$^\[\](){}|+]")
NO_RULE = "none"
"""What decided where no policy says anything."""
_FOR_REMEDY = "ask the node's organization to allow it"


def _none_is_empty(value: object) -> object:
    return () if value is None else value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else _none_is_empty(value)


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _compiles(entry: str) -> str:
    if is_pattern(entry):
        try:
            re.compile(entry)
        except re.error as error:
            raise ValueError(
                f"it is no regular expression ({error}); escape what is meant literally, or correct it"
            ) from error
    return entry


def _names_an_image(entry: str) -> str:
    if not is_pattern(entry):
        ImageReference.parse(entry)
    return entry


def is_pattern(entry: str) -> bool:
    """Whether vantage6 takes an entry for a regular expression."""
    return _PATTERN.search(entry) is not None


Entry = Annotated[str, Field(min_length=1), AfterValidator(_compiles)]
Entries = Annotated[tuple[Entry, ...], BeforeValidator(_as_list)]
Images = Annotated[tuple[Annotated[Entry, AfterValidator(_names_an_image)], ...], BeforeValidator(_as_list)]
Number = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^[0-9]+$")]
Text = Annotated[str, BeforeValidator(_as_text), Field(min_length=1)]


class Policies(Section):
    """The section `node.policies`; an empty list is no list."""

    allowed_algorithms: Images = ()
    allowed_algorithm_stores: Entries = ()
    allow_either_whitelist_or_store: bool = False
    allowed_users: Annotated[tuple[Number, ...], BeforeValidator(_none_is_empty)] = ()
    """Numbers of users: a node may not ask the server for their names."""
    allowed_organizations: Annotated[tuple[Text, ...], BeforeValidator(_none_is_empty)] = ()
    """Numbers or names; what consists of digits is a number."""
    allow_basics_algorithm: bool = True
    require_algorithm_pull: bool = True

    @property
    def open_to_all(self) -> bool:
        """Whether anybody may run anything."""
        return not (
            self.allowed_algorithms or self.allowed_algorithm_stores or self.allowed_users or self.allowed_organizations
        )

    @property
    def names_organizations(self) -> bool:
        """Whether an organization's name matters."""
        return any(not entry.isdecimal() for entry in self.allowed_organizations)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policies say of a run."""

    allowed: bool
    rule: str
    """The keys that decided, or NO_RULE; for the audit."""
    sentence: str = ""
    """For the researcher: which policy refuses, not what it would allow."""


def about_basics(policies: Policies, image: ImageReference) -> Decision | None:
    """A refusal of vantage6's basics algorithm, if the site does not want it."""
    if policies.allow_basics_algorithm or image.name != BASICS:
        return None
    sentence = f"This node does not run the basics algorithm (policy allow_basics_algorithm); {_FOR_REMEDY}."
    return Decision(False, "allow_basics_algorithm", sentence)


def about_sender(
    policies: Policies, user: int | None, organization: int, organization_name: str | None
) -> Decision | None:
    """Whether the policies let this sender run anything: None if they say nothing of senders.

    Args:
        policies: the site's.
        user: number of the user that sent the task.
        organization: number of the user's organization, or for a subtask of the node's that sent it.
        organization_name: its name, where `policies.names_organizations`.
    """
    if not policies.allowed_users and not policies.allowed_organizations:
        return None
    if user is not None and str(user) in policies.allowed_users:
        return Decision(True, "allowed_users")
    # A name made of digits is no number: an organization may choose its name.
    name = None if organization_name is None or organization_name.isdecimal() else organization_name
    if {str(organization), name} & set(policies.allowed_organizations):
        return Decision(True, "allowed_organizations")
    lists = {"allowed_users": policies.allowed_users, "allowed_organizations": policies.allowed_organizations}
    given = " and ".join(name for name, entries in lists.items() if entries)
    sentence = (
        f"This node runs no tasks of user {user} of organization {organization} (policy {given}); "
        "ask the node's organization to allow them."
    )
    return Decision(False, given, sentence)


def matches(entries: Sequence[str], text: str) -> bool:
    """Whether a text is, or matches the pattern of, one of the entries; patterns hold from the beginning only."""
    return any(re.match(entry, text) if is_pattern(entry) else entry == text for entry in entries)


def is_listed(policies: Policies, named: str) -> bool:
    """Whether `allowed_algorithms` has an image by its name."""
    return lists(policies.allowed_algorithms, named)


def lists(entries: Sequence[str], named: str) -> bool:
    """Whether a list has an image by its name: the same, its repository, or a pattern that it matches."""
    image = ImageReference.parse(named)
    literal = [ImageReference.parse(entry) for entry in entries if not is_pattern(entry)]
    patterns = [entry for entry in entries if is_pattern(entry)]
    return matches(patterns, named) or any(
        entry.name == image.name and (_is_bare(entry) or entry.which == image.which) for entry in literal
    )


def to_compare(policies: Policies, image: ImageReference) -> list[ImageReference]:
    """Entries of the same repository that name an image some other way: they allow it if their digests are equal."""
    literal = [ImageReference.parse(entry) for entry in policies.allowed_algorithms if not is_pattern(entry)]
    return [entry for entry in literal if entry.name == image.name]


def about_algorithm(
    policies: Policies, image: str, *, listed: bool | None, in_store: bool | None, why_not_in_store: str = ""
) -> Decision:
    """Whether an image may run, by the list of algorithms and the stores that vouch for it.

    Args:
        policies: the site's.
        image: as the task names it.
        listed: whether `allowed_algorithms` has it; None if there is no such list.
        in_store: whether it comes from an allowed store that confirms it; None if no stores are listed.
        why_not_in_store: a clause for the researcher.
    """
    said = {"allowed_algorithms": listed, "allowed_algorithm_stores": in_store}
    judging = [rule for rule, verdict in said.items() if verdict is not None]
    content = [rule for rule in judging if said[rule]]
    # Of two lists one may suffice; a list that is not there is no reason to pass by the other.
    if len(content) == len(judging) or (policies.allow_either_whitelist_or_store and content):
        return Decision(True, " and ".join(content) or NO_RULE)
    against = [rule for rule in judging if not said[rule]]
    why = f": {why_not_in_store}" if why_not_in_store and "allowed_algorithm_stores" in against else ""
    rule = " and ".join(against)
    return Decision(False, rule, f"This node does not run the image {image} (policy {rule}{why}); {_FOR_REMEDY}.")


def _is_bare(entry: ImageReference) -> bool:
    return entry.tag is None and entry.digest is None
