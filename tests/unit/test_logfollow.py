"""Logs are followed, kept and shown: streams that break, launchers that are killed, servers that are slow."""

import asyncio
from dataclasses import replace

import pytest

from launcher import livelog, logfollow
from launcher.kubeapi import ClusterUnavailable
from launcher.livelog import LiveLog
from launcher.logfollow import LogFollower
from launcher.taskfiles import TaskFiles
from tests.unit.kubelet import SECOND, Kubelet
from tests.unit.test_taskfiles import IDENTITY, RUN

START = 1_790_000_000 * SECOND


class Cluster:
    """Streams what was printed so far, and breaks off in the middle of a line as often as told."""

    def __init__(self):
        self.kubelet = Kubelet([])
        self.breaks = 0
        self.streams = 0
        self.ended = asyncio.Event()
        self.phase = "Running"

    def pod(self, run_id):
        return {"status": {"phase": self.phase}}

    def print(self, *texts):
        now = START + len(self.kubelet.printed) * 10**6
        self.kubelet.printed += [(now + n, text) for n, text in enumerate(texts)]

    async def log_chunks(self, pod, *, since, follow):
        self.streams += 1
        content = self.kubelet.stream(since)
        if self.breaks and content:
            self.breaks -= 1
            yield content[: len(content) * 2 // 3]
            raise ClusterUnavailable("broke")
        if content:
            yield content
        if follow:
            await self.ended.wait()


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    monkeypatch.setattr(logfollow, "_BEGIN_AFTER", 0.0)
    monkeypatch.setattr(logfollow, "_FIRST_DELAY", 0.01)
    monkeypatch.setattr(logfollow, "_PAUSE", 0.0)
    monkeypatch.setattr(livelog, "_EVERY", 0.01)
    monkeypatch.setattr(livelog, "_BETWEEN_RUNS", 0.0)


@pytest.fixture
def files(tmp_path):
    files = TaskFiles(tmp_path, IDENTITY)
    files.prepare(RUN, b"", "")
    return files


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def following(files):
    """A cluster in which one line was printed, and who follows it there."""
    cluster = Cluster()
    cluster.print(b"one")
    follower = LogFollower(cluster, files, 1000, None)
    follower.follow(RUN, "pod")
    return cluster, follower


async def test_a_log_is_kept_while_it_grows_and_read_to_its_end(files):
    cluster = Cluster()
    cluster.print(b"one", b"two")
    follower = LogFollower(cluster, files, 1000, None)
    follower.follow(RUN, "pod")
    follower.follow(RUN, "pod")
    await until((files.log_folder(RUN) / "000000000000").exists)
    cluster.print(b"three")
    kept = await follower.collect(RUN, "pod")
    assert kept.text() == "one\ntwo\nthree\n"
    assert cluster.streams == 2, "one that followed, one for the end"


async def test_streams_that_break_and_launchers_that_are_killed_lose_and_repeat_nothing(files):
    cluster = Cluster()
    for launcher in range(4):
        cluster.breaks = 3
        cluster.print(*(b"%d, line %d" % (launcher, n) for n in range(20)))
        follower = LogFollower(cluster, files, 10_000, None)
        follower.follow(RUN, "pod")
        await until(lambda: cluster.breaks == 0)
        await follower.close()
    kept = await LogFollower(cluster, files, 10_000, None).collect(RUN, "pod")
    assert kept.text().splitlines() == [text.decode() for _, text in cluster.kubelet.printed]


async def test_a_short_run_has_its_log_read_once_and_a_killed_one_is_followed_at_once(files, monkeypatch):
    monkeypatch.setattr(logfollow, "_BEGIN_AFTER", 60.0)
    cluster, follower = following(files)
    assert (await follower.collect(RUN, "pod")).text() == "one\n"
    assert cluster.streams == 1
    cluster.print(b"two")
    follower.follow(RUN, "pod")
    follower.hurry(RUN.id)
    await until(lambda: cluster.streams == 2)
    await until(lambda: "two" in "".join(each.read_text() for each in files.log_folder(RUN).iterdir()))
    cluster.print(b"said to nobody: the pod is gone")
    assert (await follower.collect(RUN, None)).text() == "one\ntwo\n"


async def test_what_ended_before_its_stream_began_is_read_once(files, monkeypatch):
    monkeypatch.setattr(logfollow, "_BEGIN_AFTER", 0.05)
    cluster, follower = following(files)
    cluster.phase = "Succeeded"
    await asyncio.sleep(0.2)
    assert cluster.streams == 0
    assert (await follower.collect(RUN, "pod")).text() == "one\n"
    assert cluster.streams == 1


async def test_algorithms_do_not_see_their_log(files):
    cluster = Cluster()
    cluster.print(b"one")
    await LogFollower(cluster, files, 1000, None).collect(RUN, "pod")
    assert not list((files.directory(RUN) / "data").rglob("*log*"))


async def test_what_a_run_without_pod_or_files_printed(files):
    cluster = Cluster()
    cluster.print(b"one")
    await LogFollower(cluster, files, 1000, None).collect(RUN, "pod")
    assert (await LogFollower(cluster, files, 1000, None).collect(RUN, None)).text() == "one\n"
    files.remove(RUN.id)
    assert await LogFollower(cluster, files, 1000, None).collect(RUN, "pod") is None


async def test_no_more_streams_than_there_are_places_and_all_logs_arrive(files, monkeypatch):

    monkeypatch.setattr(logfollow, "_STREAMS", 2)
    cluster = Cluster()
    cluster.print(b"one")
    follower = LogFollower(cluster, files, 1000, None)
    runs = [replace(RUN, id=number) for number in range(20, 26)]
    for run in runs:
        files.prepare(run, b"", "")
        follower.follow(run, "pod")
    await asyncio.sleep(0.1)
    assert cluster.streams == 2
    for run in runs:
        assert (await follower.collect(run, "pod")).text() == "one\n"


async def test_nothing_is_shown_before_the_server_calls_the_run_active(files):
    shown, cluster = [], Cluster()

    async def show(run, text):
        shown.append(text)
        return True

    cluster.print(b"one")
    follower = LogFollower(cluster, files, 1000, show)
    follower.follow(RUN, "pod")
    await asyncio.sleep(0.1)
    assert shown == []
    follower.show(RUN)
    await until(lambda: shown)
    assert shown == ["one\n"]
    await follower.close()
    # The next launcher reports the run active once more, which empties the server's log: it shows the end again.
    follower = LogFollower(cluster, files, 1000, show)
    follower.follow(RUN, "pod")
    follower.show(RUN)
    await until(lambda: len(shown) == 2)
    assert shown[1] == "one\n"
    await follower.close()


class Server:
    def __init__(self):
        self.texts, self.up, self.busy = [], True, 0.0

    async def show(self, text):
        await asyncio.sleep(self.busy)
        if self.up:
            self.texts.append(text)
        return self.up


async def test_lines_come_in_batches():
    server = Server()
    live = LiveLog(server.show, asyncio.Lock())
    live.start()
    for number in range(10):
        live.add(b"%d\n" % number)
    await until(lambda: server.texts)
    await live.stop()
    assert server.texts == ["".join(f"{number}\n" for number in range(10))]


async def test_a_flood_does_not_reach_the_server_and_says_so():
    server = Server()
    live = LiveLog(server.show, asyncio.Lock())
    live.start()
    for _ in range(1000):
        live.add(b"x" * 1023 + b"\n")
    await until(lambda: server.texts)
    await live.stop()
    (text,) = server.texts
    assert len(text) < livelog._BATCH + 200
    assert text.startswith(f"[... {1000 * 1024 - livelog._BATCH} bytes left out here")


async def test_the_longer_the_log_at_the_server_the_rarer_the_batches(monkeypatch):
    monkeypatch.setattr(livelog, "_WEIGHT", 1)
    server = Server()
    live = LiveLog(server.show, asyncio.Lock())
    live.start()
    live.add(b"a whole line\n")
    await until(lambda: server.texts)
    live.add(b"another\n")
    await asyncio.sleep(0.1)
    assert len(server.texts) == 1, "the next is due after so many seconds as there are bytes"
    await live.stop()


async def test_what_did_not_arrive_is_sent_again():
    server = Server()
    server.up = False
    live = LiveLog(server.show, asyncio.Lock())
    live.start()
    live.add(b"one\n")
    await asyncio.sleep(0.1)
    live.add(b"two\n")
    server.up = True
    await until(lambda: server.texts)
    await live.stop()
    assert server.texts == ["one\ntwo\n"]


async def test_stop_waits_for_what_is_on_its_way():
    server = Server()
    server.busy = 0.2
    live = LiveLog(server.show, asyncio.Lock())
    live.start()
    live.add(b"one\n")
    await asyncio.sleep(0.1)
    await live.stop()
    assert server.texts == ["one\n"]
