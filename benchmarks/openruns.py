"""Ever more open runs, most of which wait for a machine: the launcher's memory and what it asks while nothing happens.

They are written straight into the server's database, and the node finds them when it comes online. A simulated kubelet
takes as many as its machine has places for, and ends none. Then some tasks are sent as usual: that must not take longer
because many others are open.
"""

import asyncio
import sqlite3
import time
from pathlib import Path

from benchmarks.fakenode import fake_node
from benchmarks.found import Effort, Found
from benchmarks.goals import Measurement
from benchmarks.life import LAUNCHER, MS
from benchmarks.percentiles import median
from benchmarks.requestcount import Counter, counting
from benchmarks.scene import Scene, Stand, stand
from tests.stage import StageError
from tests.stage.node import process_of
from tests.stage.proxy_process import Measured

_METHOD = "sleep"
_PATIENCE = 24 * 3600
_SECONDS = 1800
_SETTLED_SECONDS = 15
_TASKS = 5


async def measure(scene: Scene, effort: Effort) -> Found:
    """Measure."""
    curve: dict[str, list[float]] = {
        "open runs": [],
        "launcher's memory, MiB": [],
        "launcher's processor time when idle, ms a second": [],
        "API requests when idle, a second": [],
        "calls to the server when idle, a second": [],
        "event to Job of one more, median, ms": [],
        "from online until each has a Job, s": [],
    }
    async with fake_node(scene) as fake:
        values = fake.values(ending=False)
        values["jobs"] |= {"waitForRoomSeconds": _PATIENCE, "waitForRepairSeconds": _PATIENCE}
        async with (
            stand(scene, values, fake.prepare) as there,
            counting(scene.api, there.namespace, LAUNCHER) as counter,
        ):
            there_are = 0
            for size in (0, *effort.open_runs):
                took = await until_there_are(there, size - there_are)
                row = [float(size), *await idle(there, counter, effort.idle_seconds)]
                waits = [await one_more(there) * MS for _ in range(_TASKS)]
                there_are = size + _TASKS
                for values_so_far, value in zip(curve.values(), [*row, median(waits), took], strict=True):
                    values_so_far.append(value)
    _, memory, _, api, server, *_ = curve.values()
    return Found(
        [
            Measurement("open runs, memory", memory[-1], memory[0]),
            Measurement("open runs, API", api[-1], api[0]),
            Measurement("open runs, server", server[-1], server[0]),
        ],
        curve=curve,
    )


async def one_more(there: Stand) -> float:
    """Send a task; the seconds from its event until its Job was seen."""
    sent = await there.sender.send(there.scene.algorithm, _METHOD, 0)
    job = await there.until(lambda: there.in_cluster.of_task(sent.task), _SECONDS, f"a Job of task {sent.task}")
    assert job.created
    return job.created - there.at_server.told[sent.task]


async def until_there_are(there: Stand, more: int) -> float:
    """Have so many more open runs, each with a Job; the seconds that it took from when the node came online."""
    if more <= 0:
        return 0.0
    if not there.in_cluster.pattern:
        await one_more(there)
        more -= 1
    there.look()
    before = len(there.in_cluster.jobs)
    node = there.node
    await asyncio.to_thread(node.scale_launcher, 0)
    await asyncio.to_thread(node.wait_offline)
    await asyncio.to_thread(write_runs, there.scene.server.folder / "server.sqlite", there.node.account.id, more)
    await asyncio.to_thread(node.scale_launcher, 1)
    await asyncio.to_thread(node.wait_online)
    began = time.time()
    await there.until(lambda: len(there.in_cluster.jobs) >= before + more, _SECONDS, f"{more} more Jobs", every=0.5)
    return time.time() - began


async def idle(there: Stand, counter: Counter, seconds: float) -> list[float]:
    """What the launcher needs while nothing happens: memory in MiB, processor time, requests and calls a second."""
    process = Measured(await asyncio.to_thread(launcher_process, there))
    await settled(there)
    cpu, asked, told = process.cpu(), await counter.read(), there.at_server.exchanges
    began = time.monotonic()
    await asyncio.sleep(seconds)
    passed = time.monotonic() - began
    requests = (await counter.read()).since(asked).regular
    there.look()
    calls = there.at_server.exchanges - told
    return [process.memory() / 2**20, (process.cpu() - cpu) / passed * MS, requests / passed, calls / passed]


async def settled(there: Stand) -> None:
    """Wait until the node has said nothing to the server for some time: what was new to it has been dealt with."""
    there.look()
    before, since = there.at_server.exchanges, time.monotonic()

    def quiet() -> bool:
        nonlocal before, since
        if there.at_server.exchanges != before:
            before, since = there.at_server.exchanges, time.monotonic()
        return time.monotonic() - since > _SETTLED_SECONDS

    await there.until(quiet, _SECONDS, "a node that has nothing to say", every=0.5)


def launcher_process(there: Stand) -> int:
    """The launcher's process on this machine.

    Raises:
        StageError: the cluster's processes are not this machine's.
    """
    (pod,) = there.node.pods("launcher")
    process = process_of(pod["metadata"]["uid"])
    if process is None:
        raise StageError("The launcher's process is not on this machine, so that its memory can't be seen.")
    return process


def write_runs(database: Path, node: int, count: int) -> None:
    """Write open runs of a node into the server's database, each with a task, like the last one that it has.

    Args:
        database: the server's.
        node: whose runs.
        count: how many.
    """
    with sqlite3.connect(database, timeout=60) as connection:
        connection.row_factory = sqlite3.Row
        find = """
            SELECT run.* FROM run JOIN task ON task.id = run.task_id JOIN node
            ON node.organization_id = run.organization_id AND node.collaboration_id = task.collaboration_id
            WHERE node.id = ? ORDER BY run.id DESC LIMIT 1
        """
        run = dict(connection.execute(find, (node,)).fetchone())
        task = dict(connection.execute("SELECT * FROM task WHERE id = ?", (run["task_id"],)).fetchone())
        of_all = "SELECT (SELECT max(id) FROM task), (SELECT max(job_id) FROM task), (SELECT max(id) FROM run)"
        last_task, last_job, last_run = connection.execute(of_all).fetchone()
        opened = dict.fromkeys(("started_at", "finished_at", "result", "log")) | {"status": "pending"}
        for number in range(1, count + 1):
            _insert(connection, "task", task | {"id": last_task + number, "job_id": last_job + number})
            _insert(connection, "run", run | opened | {"id": last_run + number, "task_id": last_task + number})
    connection.close()


def _insert(connection: sqlite3.Connection, table: str, row: dict[str, object]) -> None:
    names = ", ".join(f'"{name}"' for name in row)
    places = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", list(row.values()))  # noqa: S608
