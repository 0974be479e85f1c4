"""What is asked for a decision, of whom, and when."""

from dataclasses import replace

import pytest

from launcher.approval import Approval, NotApproved
from launcher.policies import BASICS, Policies
from launcher.registry import ImageUnavailable
from launcher.runs import RunStatus
from launcher.session import ServerRefusal, ServerUnavailable
from tests.unit.test_taskfiles import RUN

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
TASK = replace(RUN, image="ghcr.io/a/b:2", init_user_id=5, init_organization_id=3, store_id=9)


class Registry:
    def __init__(self, **digests):
        self.digests, self.asked = digests or {"ghcr.io/a/b:2": [A]}, []

    async def digest(self, image):
        self.asked.append(str(image))
        if image.digest:
            return image.digest
        try:
            found = self.digests[str(image)]
        except KeyError:
            raise ImageUnavailable(f"The registry has no image {image}.") from None
        return found.pop(0) if len(found) > 1 else found[0]


class Server:
    def __init__(self):
        self.asked, self.confirms, self.outages = [], True, 0

    async def organization_name(self, number):
        self.asked.append(("organization", number))
        if number == 4:
            raise ServerRefusal(404, "unknown")
        return "North"

    async def store_url(self, number):
        self.asked.append(("store", number))
        return "https://store.example.org"

    async def store_confirms(self, url, image):
        self.asked.append((url, image))
        if self.outages:
            self.outages -= 1
            raise ServerUnavailable("down")
        return self.confirms


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("launcher.approval.backoff", lambda attempt: 0)


async def decide(run=TASK, registry=None, server=None, **policies):
    server = server or Server()
    return await Approval(Policies.model_validate(policies), server, registry or Registry()).of(run)


async def refused(**arguments):
    with pytest.raises(NotApproved) as refusal:
        await decide(**arguments)
    return refusal.value


async def test_what_is_approved_is_the_digest():
    approved = await decide()
    assert (approved.ref, approved.rule) == (f"ghcr.io/a/b@{A}", "none")


async def test_without_a_registry_the_image_runs_as_named():
    registry = Registry()
    assert (await decide(registry=registry, require_algorithm_pull=False)).ref == "ghcr.io/a/b:2"
    assert registry.asked == []


async def test_a_registry_that_the_policies_don_t_allow_is_not_even_asked():
    registry = Registry()
    for policies in (
        {"allowed_algorithms": ["ghcr.io/a/c"]},
        {"allowed_users": [1]},
        {"allowed_organizations": ["South"]},
    ):
        refusal = await refused(registry=registry, **policies)
        assert refusal.outcome.status is RunStatus.NOT_ALLOWED
        assert refusal.rule == next(iter(policies))
    assert registry.asked == []


@pytest.mark.contract("§8 allowed_algorithms")
async def test_another_tag_of_the_same_digest_is_allowed_and_looked_up_once():
    # The tag moves after the first look: what runs is what was compared.
    registry = Registry(**{"ghcr.io/a/b:1": [A], "ghcr.io/a/b:2": [A, B]})
    approved = await decide(registry=registry, allowed_algorithms=["ghcr.io/a/b:gone", "ghcr.io/a/b:1"])
    assert approved.ref == f"ghcr.io/a/b@{A}"
    assert registry.asked.count("ghcr.io/a/b:2") == 1


async def test_another_tag_of_another_digest_is_not():
    registry = Registry(**{"ghcr.io/a/b:1": [B], "ghcr.io/a/b:2": [A]})
    assert (await refused(registry=registry, allowed_algorithms=["ghcr.io/a/b:1"])).rule == "allowed_algorithms"
    assert (await refused(registry=registry, allowed_algorithms=[f"ghcr.io/a/b@{B}"])).rule == "allowed_algorithms"
    assert (await decide(registry=registry, allowed_algorithms=[f"ghcr.io/a/b@{A}"])).ref == f"ghcr.io/a/b@{A}"


async def test_an_image_that_its_registry_does_not_give():
    refusal = await refused(run=replace(TASK, image="ghcr.io/a/gone"))
    assert refusal.outcome.status is RunStatus.NO_DOCKER_IMAGE
    assert str(refusal) == "The registry has no image ghcr.io/a/gone."
    assert (await refused(run=replace(TASK, image="No Image"))).outcome.status is RunStatus.NO_DOCKER_IMAGE


async def test_an_organization_by_its_name():
    assert (await decide(allowed_organizations=["North"])).rule == "allowed_organizations"
    stranger = replace(TASK, init_organization_id=4)
    assert (await refused(run=stranger, allowed_organizations=["North"])).rule == "allowed_organizations"
    server = Server()
    await decide(server=server, allowed_organizations=[3])
    assert server.asked == []


@pytest.mark.contract("§8 order")
async def test_basics_then_who_sent_it_then_the_name_of_the_image_and_the_store_last():
    policies = {
        "allow_basics_algorithm": False,
        "allowed_users": [1],
        "allowed_algorithms": ["ghcr.io/a/c"],
        "allowed_algorithm_stores": ["https://store.example.org"],
    }
    basics, server = replace(TASK, image=f"{BASICS}:latest"), Server()
    server.confirms = False
    for policy in list(policies):
        assert server.asked == [], "only where everything else allows it"
        assert (await refused(run=basics, server=server, **policies)).rule == policy
        del policies[policy]
    assert server.asked


STORES = {"allowed_algorithm_stores": ["https://store.example.org"]}


@pytest.mark.contract("§8 allowed_algorithm_stores")
async def test_a_store_has_to_confirm():
    server = Server()
    assert (await decide(server=server, **STORES)).rule == "allowed_algorithm_stores"
    assert server.asked == [("store", 9), ("https://store.example.org", "ghcr.io/a/b:2")]
    server.confirms = False
    assert "does not have it" in str(await refused(server=server, **STORES))
    assert "names no algorithm store" in str(await refused(run=replace(TASK, store_id=None), **STORES))


async def test_a_store_that_is_not_allowed_never_gets_the_nodes_token():
    server = Server()
    assert "none of those" in str(await refused(server=server, allowed_algorithm_stores=["https://other.example.org"]))
    assert server.asked == [("store", 9)]


@pytest.mark.contract("§8 allowed_algorithm_stores")
@pytest.mark.parametrize(("outages", "allowed"), [(2, True), (3, False)])
async def test_a_store_is_asked_three_times(outages, allowed):
    server = Server()
    server.outages = outages
    if allowed:
        await decide(server=server, **STORES)
    else:
        assert "does not answer" in str(await refused(server=server, **STORES))


async def test_where_either_suffices_the_store_is_asked_only_about_what_is_not_listed():
    for entry, asked in (("ghcr.io/a/b", False), ("ghcr.io/a/c", True)):
        server = Server()
        await decide(server=server, allowed_algorithms=[entry], allow_either_whitelist_or_store=True, **STORES)
        assert bool(server.asked) is asked
