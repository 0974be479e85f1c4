import asyncio

from launcher import workqueue
from launcher.workqueue import WorkQueue


async def settle(rounds=20):
    for _ in range(rounds):
        await asyncio.sleep(0)


async def test_one_key_is_never_worked_on_twice_at_a_time_and_no_addition_is_lost():
    running, most, done = 0, 0, 0

    async def work(key):
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done += 1

    queue = WorkQueue(work, ())
    queue.add(1)
    await asyncio.sleep(0)
    queue.add(1)
    queue.add(1)
    await settle()
    assert (most, done) == (1, 2)


async def test_a_stuck_key_does_not_hold_up_another():
    done = []

    async def work(key):
        if key == 1:
            await asyncio.Event().wait()
        done.append(key)

    queue = WorkQueue(work, ())
    queue.add(1)
    queue.add(2)
    await settle()
    assert done == [2]
    await queue.close(0)


async def test_work_that_fails_is_repeated_later_and_at_once_when_added_again(monkeypatch):
    monkeypatch.setattr(workqueue, "_FIRST_DELAY", 0.01)
    tries = 0

    async def work(key):
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError("not yet")

    queue = WorkQueue(work, (OSError,))
    queue.add(1)
    await asyncio.sleep(0.1)
    assert tries == 3

    monkeypatch.setattr(workqueue, "_FIRST_DELAY", 1000.0)
    tries = 0
    queue.add(2)
    await settle()
    assert tries == 1
    queue.add(2)
    await settle()
    assert tries == 2
    await queue.close(0)


async def test_close_waits_for_work_and_takes_no_more():
    done = []

    async def work(key):
        await asyncio.sleep(0.01)
        done.append(key)

    queue = WorkQueue(work, ())
    queue.add(1)
    await asyncio.sleep(0)
    await queue.close(1)
    queue.add(2)
    await asyncio.sleep(0.03)
    assert done == [1]
