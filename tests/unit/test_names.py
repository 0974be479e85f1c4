"""Looking names up: one question for all who ask at a time."""

import asyncio

import pytest

from launcher.names import OneQuestion


class Dns:
    """Answers when it is let, each time with another address."""

    def __init__(self):
        self.asked: list[str] = []
        self.answers = asyncio.Event()
        self.fails = False

    async def __call__(self, name: str) -> tuple[str, ...]:
        self.asked.append(name)
        await self.answers.wait()
        if self.fails:
            raise OSError("no answer")
        return (f"10.0.0.{len(self.asked)}",)


@pytest.fixture
def dns():
    return Dns()


async def test_many_at_a_time_are_one_question(dns):
    look_up = OneQuestion(dns)
    asking = [asyncio.create_task(look_up("proxy")) for _ in range(20)]
    await asyncio.sleep(0)
    dns.answers.set()
    assert set(await asyncio.gather(*asking)) == {("10.0.0.1",)}
    assert dns.asked == ["proxy"]
    await look_up("database")
    assert dns.asked == ["proxy", "database"]


async def test_an_answer_is_good_for_less_than_a_second(dns):
    now = 5.0
    dns.answers.set()
    look_up = OneQuestion(dns, lambda: now)
    assert await look_up("proxy") == ("10.0.0.1",)
    now = 5.9
    assert await look_up("proxy") == ("10.0.0.1",)
    now = 6.0
    assert await look_up("proxy") == ("10.0.0.2",)


async def test_that_there_is_no_answer_is_not_kept(dns):
    look_up, dns.fails = OneQuestion(dns), True
    dns.answers.set()
    with pytest.raises(OSError, match="no answer"):
        await look_up("proxy")
    dns.fails = False
    assert await look_up("proxy") == ("10.0.0.2",)


async def test_who_gives_up_takes_no_answer_from_the_others(dns):
    look_up = OneQuestion(dns)
    first, second = (asyncio.create_task(look_up("proxy")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    dns.answers.set()
    assert await second == ("10.0.0.2",)
