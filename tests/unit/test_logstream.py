"""A log that is read in pieces, cut off anywhere and begun again, arrives with every line once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher import logstream
from launcher.keptlog import KeptLog
from launcher.logstream import LONGEST_PIECE, Lines, Position
from tests.unit.kubelet import SECOND, Kubelet, stamp

START = 1_790_000_000 * SECOND


def read(position, content, *, whole=True):
    """The texts that are new in a stream that ends after `content`."""
    lines = Lines()
    position.begin()
    found = [line.text for line in lines.feed(content) if position.is_new(line)]
    return found + ([line.text for line in lines.finish() if position.is_new(line)] if whole else [])


@st.composite
def logs(draw):
    """Lines whose times hardly advance, or by seconds; and now and then one that is late."""
    time, printed = START, []
    for _ in range(draw(st.integers(0, 30))):
        time += draw(st.sampled_from([0, 1, 1000, SECOND // 3, SECOND, 5 * SECOND]))
        late = draw(st.sampled_from([0, 0, 0, 10, SECOND // 2]))
        printed.append((time - late, draw(st.sampled_from([b"", b"a", b"b", b"two words", b"\xff\x00"]))))
    return Kubelet(printed)


@given(logs(), st.data())
def test_cut_off_at_any_byte_every_line_arrives_once(kubelet, data):
    position, found = Position(), []
    for _ in range(data.draw(st.integers(0, 4))):
        content = kubelet.stream(position.since, data.draw(st.integers(0, len(kubelet.printed))))
        found += read(position, content[: data.draw(st.integers(0, len(content)))], whole=False)
        if data.draw(st.booleans()):
            position = Position(list(position.recent), position.horizon)  # a restart
    found += read(position, kubelet.stream(position.since))
    assert found == [text + b"\n" for _, text in kubelet.printed]


@given(logs(), st.data())
def test_what_kubelet_rotated_away_meanwhile_is_all_that_is_missing(kubelet, data):
    kubelet.printed = [(time, b"%d" % number) for number, (time, _) in enumerate(kubelet.printed)]
    position = Position()
    seen = data.draw(st.integers(0, len(kubelet.printed)))
    found = read(position, kubelet.stream(None, seen))
    kubelet.rotated = data.draw(st.integers(0, len(kubelet.printed)))
    found += read(position, kubelet.stream(position.since))
    kept = [text + b"\n" for _, text in kubelet.printed[:seen] + kubelet.printed[max(seen, kubelet.rotated) :]]
    assert found == kept


def test_chunks_may_end_anywhere():
    content = Kubelet([(START + n, b"line %d" % n) for n in range(50)]).stream(None)
    lines = Lines()
    found = [line.text for n in range(0, len(content), 7) for line in lines.feed(content[n : n + 7])]
    assert found == [b"line %d\n" % n for n in range(50)]


@pytest.mark.parametrize("zone", [b"Z", b"+00:00"])
def test_times_may_have_any_zone_and_precision(zone):
    (line,) = Lines().feed(b"2026-01-01T00:00:00.5" + zone + b" x\n")
    (other,) = Lines().feed(b"2026-01-01T02:00:00.500000000+02:00 x\n")
    assert line == other


def test_the_last_line_need_not_end():
    assert read(Position(), stamp(START) + b" no end") == [b"no end\n"]


def test_words_of_kubelets_own_are_not_the_algorithms():
    assert read(Position(), b"unable to retrieve container logs for containerd://0\n") == []


def test_a_line_without_end_is_not_held_in_memory_and_its_pieces_come_once():
    content = stamp(START) + b" " + b"x" * (5 * LONGEST_PIECE) + b"\n"
    position = Position()
    lines = Lines()
    position.begin()
    found, held = [], 0
    for start in range(0, len(content) // 2, 1000):
        found += [line.text for line in lines.feed(content[start : start + 1000]) if position.is_new(line)]
        held = max(held, len(lines._rest))
    assert held <= 2 * LONGEST_PIECE + 1000
    found += read(position, content)
    assert b"".join(found) == b"x" * (5 * LONGEST_PIECE) + b"\n"


def test_few_lines_are_remembered():
    position = Position()
    read(position, Kubelet([(START + n, b"x") for n in range(5000)]).stream(None))
    assert len(position.recent) <= logstream._MOST_REMEMBERED


# On disk


@given(logs(), st.integers(2, 60), st.data())
def test_a_launcher_killed_at_any_write_goes_on_where_it_was(tmp_path_factory, kubelet, limit, data):
    folder = tmp_path_factory.mktemp("log") / "log"
    for _ in range(data.draw(st.integers(0, 3))):
        kept = KeptLog(folder, limit)
        lines = list(_lines(kept, kubelet))
        for _ in range(data.draw(st.integers(0, 3))):
            some, lines = lines[: (cut := data.draw(st.integers(0, len(lines))))], lines[cut:]
            if data.draw(st.booleans()):
                kept._note = lambda: None  # killed before the position is written, and so is all that follows
            kept.append([line for line in some if kept.position.is_new(line)])
    kept = KeptLog(folder, limit)
    kept.append([line for line in _lines(kept, kubelet) if kept.position.is_new(line)])
    expect(KeptLog(folder, limit), b"".join(text + b"\n" for _, text in kubelet.printed), limit)


def _lines(kept, kubelet):
    kept.position.begin()
    return Lines().feed(kubelet.stream(kept.position.since))


def expect(kept, whole, limit):
    assert kept.size == len(whole)
    if len(whole) <= limit:
        assert kept.text() == whole.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
        return
    assert f"\n[... {len(whole) - limit} bytes left out ...]\n" in kept.text()


def test_a_long_log_is_head_and_tail_on_disk_too(tmp_path):
    folder, limit = tmp_path / "log", 10_000
    kept = KeptLog(folder, limit)
    position = kept.position
    content = Kubelet([(START + n, b"line %05d" % n) for n in range(20_000)]).stream(None)
    lines = list(Lines().feed(content))
    for start in range(0, len(lines), 100):
        kept.append(line for line in lines[start : start + 100] if position.is_new(line))
    text = KeptLog(folder, limit).text()
    head, _, tail = text.partition(f"\n[... {20_000 * 11 - limit} bytes left out ...]\n")
    assert head == "".join(f"line {n:05d}\n" for n in range(1000))[:5000]
    assert tail == "".join(f"line {n:05d}\n" for n in range(19_000, 20_000))[-5000:]
    parts = [path for path in folder.iterdir() if path.name.isdecimal()]
    assert sum(path.stat().st_size for path in parts) < 2 * limit


def test_the_end_of_a_log(tmp_path):
    kept = KeptLog(tmp_path / "log", 1000)
    assert kept.end(10) == ""
    kept.append(Lines().feed(Kubelet([(START, b"one"), (START, b"two")]).stream(None)))
    assert kept.end(6) == "e\ntwo\n"
