from hypothesis import given
from hypothesis import strategies as st

from launcher.logtail import HeadAndTail


@given(st.lists(st.binary(max_size=50)), st.integers(2, 64))
def test_short_text_is_whole_and_long_text_keeps_head_and_tail(chunks, limit):
    whole = b"".join(chunk.replace(b"\0", b"") for chunk in chunks)
    kept = HeadAndTail(limit)
    for chunk in chunks:
        kept.add(chunk.replace(b"\0", b""))
    if len(whole) <= limit:
        assert kept.text() == whole.decode(errors="replace")
    else:
        assert f"[... {len(whole) - limit} bytes left out ...]" in kept.text()


def test_the_gap_is_between_head_and_tail():
    kept = HeadAndTail(10)
    for number in range(1000):
        kept.add(b"%03d" % number)
    assert kept.text() == "00000\n[... 2990 bytes left out ...]\n98999"


def test_a_nul_does_not_reach_the_server():
    kept = HeadAndTail(10)
    kept.add(b"a\0b")
    assert kept.text() == "a\N{REPLACEMENT CHARACTER}b"
