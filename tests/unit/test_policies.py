"""Who may run what here: the decision."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from launcher.imagereference import ImageReference
from launcher.policies import Policies, about_algorithm, about_basics, about_sender, is_listed, to_compare

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def policies(**keys):
    return Policies.model_validate(keys)


@pytest.mark.contract("§8 allowed_algorithms")
@pytest.mark.parametrize(
    ("entries", "image", "listed"),
    [
        (["ghcr.io/a/b:1"], "ghcr.io/a/b:1", True),
        (["ghcr.io/a/b:1"], "ghcr.io/a/b:2", False),
        (["ghcr.io/a/b:1"], "ghcr.io/a/b:10", False),
        (["ghcr.io/a/b:1"], f"ghcr.io/a/b:1@{DIGEST}", False),
        (["ghcr.io/a/b"], "ghcr.io/a/b:2", True),
        (["ghcr.io/a/b"], f"ghcr.io/a/b@{DIGEST}", True),
        (["ghcr.io/a/b"], "ghcr.io/a/bc:2", False),
        (["ghcr.io/a/b"], "ghcr.io/a/b/c:2", False),
        (["ghcr.io/a/b:latest"], "ghcr.io/a/b", True),
        (["python:3"], "docker.io/library/python:3", True),
        ([f"ghcr.io/a/b@{DIGEST}"], f"ghcr.io/a/b:1@{DIGEST}", True),
        ([f"ghcr.io/a/b@{DIGEST}"], f"ghcr.io/a/b@{OTHER}", False),
        ("ghcr.io/a/b", "ghcr.io/a/b", True),
        ([r"^ghcr\.io/a/[a-z]+:1$"], "ghcr.io/a/b:1", True),
        ([r"^ghcr\.io/a/[a-z]+:1$"], "ghcr.io/a/b:1.0", False),
        ([r"ghcr\.io/a/[a-z]+"], "ghcr.io/a/b:anything", True),  # anchored at its start only, as in vantage6
        ([r"ghcr\.io/a/[a-z]+"], "evil.example/ghcr.io/a/b", False),
    ],
)
def test_an_image_is_listed_by_its_name(entries, image, listed):
    assert is_listed(policies(allowed_algorithms=entries), image) is listed


def test_entries_of_the_same_repository_are_to_be_compared_by_digest():
    found = to_compare(
        policies(allowed_algorithms=["a/b:1", "a/c:1", "a/b.*", "docker.io/a/b:3"]), ImageReference.parse("a/b:2")
    )
    assert [str(entry) for entry in found] == ["docker.io/a/b:1", "docker.io/a/b:3"]


@pytest.mark.contract("§8 allowed_users and allowed_organizations")
@pytest.mark.parametrize(
    ("users", "organizations", "sender", "allowed"),
    [
        ([5], [], (5, 1, None), True),
        (["5"], [], (5, 1, None), True),
        ([5], [], (55, 1, None), False),
        ([5], [], (None, 5, None), False),
        ([], [3], (5, 3, None), True),
        ([], ["3"], (5, 3, None), True),
        ([], ["North"], (5, 3, "North"), True),
        ([], ["North"], (5, 3, "north"), False),
        ([], ["3"], (5, 4, "3"), False),  # an organization may choose its name, not its number
        ([5], [3], (6, 3, None), True),
        ([5], [3], (6, 4, None), False),
    ],
)
def test_a_sender_is_allowed_by_user_or_organization(users, organizations, sender, allowed):
    decision = about_sender(policies(allowed_users=users, allowed_organizations=organizations), *sender)
    assert decision.allowed is allowed


def test_without_lists_nothing_is_said_of_senders():
    assert about_sender(policies(), 1, 1, None) is None


@pytest.mark.contract("§8 allow_either_whitelist_or_store")
@pytest.mark.parametrize(
    ("listed", "in_store", "both", "either"),
    [
        (None, None, True, True),
        (True, None, True, True),
        (False, None, False, False),
        (None, True, True, True),
        (None, False, False, False),
        (True, True, True, True),
        (True, False, False, True),
        (False, True, False, True),
        (False, False, False, False),
    ],
)
def test_list_and_stores_together(listed, in_store, both, either):
    for key, expected in (({}, both), ({"allow_either_whitelist_or_store": True}, either)):
        assert about_algorithm(policies(**key), "x", listed=listed, in_store=in_store).allowed is expected


@pytest.mark.contract("§8 allow_basics_algorithm")
def test_the_basics_algorithm_can_be_refused_whatever_its_tag():
    for image in ("ghcr.io/vantage6/algorithm-basics:latest", f"ghcr.io/vantage6/algorithm-basics@{DIGEST}"):
        assert about_basics(policies(), ImageReference.parse(image)) is None
        assert about_basics(policies(allow_basics_algorithm=False), ImageReference.parse(image)).allowed is False
    assert about_basics(policies(allow_basics_algorithm=False), ImageReference.parse("ghcr.io/vantage6/other")) is None


@given(st.lists(st.from_regex(r"secret-[a-z]{8}/[a-z]{8}", fullmatch=True), min_size=1, max_size=5))
def test_a_refusal_names_the_policy_and_not_what_it_would_allow(entries):
    site = policies(allowed_algorithms=entries, allowed_organizations=entries, allowed_users=[987654])
    refusals = [
        about_sender(site, 1, 2, "North"),
        about_algorithm(site, "other/image", listed=is_listed(site, "other/image"), in_store=None),
    ]
    for refusal in refusals:
        assert not refusal.allowed
        assert refusal.rule.split(" and ")[0] in refusal.sentence
        assert not any(entry in refusal.sentence for entry in [*entries, "987654"])


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"allowed_algorithms": ["a(b"]}, "it is no regular expression"),
        ({"allowed_algorithm_stores": "[a"}, "it is no regular expression"),
        ({"allowed_algorithms": ["Not An Image"]}, "is not the name of an image"),
        ({"allowed_users": 5}, "allowed_users"),
        ({"allowed_users": ["alice"]}, "allowed_users.0"),
        ({"allowed_users": [True]}, "allowed_users.0"),
        ({"allowed_organizations": "North"}, "allowed_organizations"),
        ({"allowed_images": []}, "allowed_images"),
    ],
)
def test_a_mistake_is_refused(keys, words):
    with pytest.raises(ValidationError, match=words.replace(".", "[.]")):
        policies(**keys)


def test_null_is_an_empty_list():
    assert policies(allowed_algorithms=None, allowed_users=None, allowed_organizations=None).open_to_all
