import asyncio

from launcher import workqueue
from launcher.kubeapi import ClusterUnavailable
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


async def test_many_keys_are_worked_on_in_the_order_of_their_addition_and_few_at_a_time():
    begun, most, working = [], 0, 0

    async def work(key):
        nonlocal most, working
        begun.append(key)
        working += 1
        most = max(most, working, len(asyncio.all_tasks()) - 1)
        await asyncio.sleep(0)
        working -= 1

    queue = WorkQueue(work, (), at_once=3)
    for key in range(500):
        queue.add(key)
    while len(begun) < 500:
        await asyncio.sleep(0)
    assert begun == list(range(500))
    assert most == 3, "and no more tasks than that wait in memory"
    await queue.close(1)


async def test_who_says_how_long_to_wait_is_not_asked_before(monkeypatch):
    monkeypatch.setattr(workqueue, "_FIRST_DELAY", 0.0)
    tries = []

    async def work(key):
        tries.append(asyncio.get_running_loop().time())
        if len(tries) == 1:
            raise ClusterUnavailable("busy", 0.1)

    queue = WorkQueue(work, (ClusterUnavailable,))
    queue.add(1)
    await asyncio.sleep(0.3)
    assert tries[1] - tries[0] >= 0.1
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
