"""What the node makes of commands: those of the proof of concept, and those that nobody should have sent."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.session.poc_commands import MOST_BYTES, ListCommand, Refused, RunCommand, parse, recognised
from tests.poc.command_emitter import example

GOOD = example("ghcr.io/example/average:1", 33333312)


def test_the_readmes_example_is_a_run():
    command = parse(GOOD)
    assert isinstance(command, RunCommand)
    assert command.run_id == 33333312
    assert list(command.task_info.values()) == ["/app/input/csv/default", "Age", "/app/output/avg.txt"]
    assert command.content == b"input1"
    assert command.token == "example_token"
    assert command.databases_to_use == ["default", "db1", "db2", "db3"]


def test_the_order_of_task_info_is_kept():
    command = parse({**GOOD, "task_info": {"z": "1", "a": "2", "m": "3"}})
    assert isinstance(command, RunCommand)
    assert list(command.task_info.values()) == ["1", "2", "3"]


@pytest.mark.parametrize(("given", "content"), [(b"\x00\xff", b"\x00\xff"), (None, b""), ("é", "é".encode())])
def test_an_input_may_be_bytes_text_or_nothing(given: Any, content: bytes):
    command = parse({**GOOD, "docker_input": given})
    assert isinstance(command, RunCommand)
    assert command.content == content


def test_what_is_no_run_has_a_command():
    assert isinstance(parse({"command": "list"}), ListCommand)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("run_id", bad) for bad in (0, -1, True, 1.5, "7", "../7", None, [7], 2**53, 10**400)),
        *(("image", bad) for bad in ("", " ", "a b", "-a", "a\n", 3, None, "a" * 513, "a\x00")),
        *(("tmp_vol_name", bad) for bad in ("", "..", "../x", "/tmp", "a/b", "A", "a-", "a\n", "a" * 254, 1, None)),
        *(("databases_to_use", [bad]) for bad in ("", "..", "../default", "a/b", "a b", "default\n", 1, None)),
        ("databases_to_use", "default"),
        ("databases_to_use", ["a"] * 65),
        *(("task_info", bad) for bad in (None, [], "a", {"a": 1}, {"a": None}, {"a": ["b"]}, {1: "a"})),
        ("task_info", {"a": "nul\x00"}),
        ("task_info", {"a": "\ud800"}),
        ("task_info", {str(number): "" for number in range(65)}),
        ("task_info", {"a": "x" * (2**16 + 1)}),
        ("token", None),
        ("token", "x" * (2**16 + 1)),
        ("docker_input", 5),
        ("request", "x" * 65),
        ("privileged", True),
        ("x" * 5000, "y"),
    ],
)
def test_what_a_run_must_not_have_is_refused_in_a_sentence(key: Any, value: Any):
    with pytest.raises(Refused) as refused:
        parse({**GOOD, key: value})
    sentence = str(refused.value)
    assert str(key)[:20] in sentence
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 400
    assert sentence.isprintable()


@pytest.mark.parametrize("key", ["run_id", "image", "tmp_vol_name"])
def test_what_is_missing_is_named(key: str):
    with pytest.raises(Refused, match=f"{key} is missing; "):
        parse({name: value for name, value in GOOD.items() if name != key})


@pytest.mark.parametrize("key", ["token", "docker_input"])
def test_no_sentence_repeats_what_is_confidential(key: str):
    secret = "s3cret" * 20_000
    with pytest.raises(Refused) as refused:
        parse({**GOOD, key: secret})
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("command", ["", "RUN", "exec", "run ", 1, None, ["run"], {}])
def test_a_command_that_is_none_is_refused(command: Any):
    with pytest.raises(Refused, match="use run, list, kill, result"):
        parse({"command": command})


@pytest.mark.parametrize("data", [None, "list", 5, [GOOD], (GOOD, GOOD), b"x"])
def test_what_is_no_object_is_refused(data: Any):
    with pytest.raises(Refused, match="A command is an object"):
        parse(data)


def test_more_than_the_limit_is_refused_whatever_it_is():
    with pytest.raises(Refused, match=f"longer than {MOST_BYTES} bytes"):
        parse({**GOOD, "docker_input": b"x" * MOST_BYTES})
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Refused, match="not plain JSON"):
        parse({**GOOD, "task_info": deep})


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(anything | st.dictionaries(st.sampled_from([*GOOD, "command", "request"]), anything))
def test_nothing_gets_by_but_a_command_and_no_reply_fails(data: Any):
    json.dumps(recognised(data))
    try:
        parse(data)
    except Refused as refused:
        assert str(refused).isprintable()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_arguments_arrive_as_they_were_sent(text: str):
    try:
        command = parse({**GOOD, "task_info": {"arg": text}})
    except Refused:
        assert "\x00" in text
        return
    assert isinstance(command, RunCommand)
    assert command.task_info["arg"] == text
