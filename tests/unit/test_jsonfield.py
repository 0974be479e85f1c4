import json

from hypothesis import given
from hypothesis import strategies as st

from launcher.jsonfield import JsonField
from launcher.session.v4_contents import Aside, without_input

SIZES = st.lists(st.integers(0, 30), max_size=30)
VALUES = st.one_of(st.text(), st.none(), st.integers(), st.lists(st.text(), max_size=3))
OBJECTS = st.dictionaries(st.sampled_from(["id", "input", "inputs", '"input"', "\\", "input\\"]), VALUES)


def through(text: bytes, sizes: list[int], field: JsonField) -> bytes:
    said, at = b"", 0
    for size in sizes:
        said += field.update(text[at : at + size])
        at += size
    return said + field.update(text[at:]) + field.finish()


@given(st.lists(OBJECTS, max_size=4), SIZES, st.booleans())
def test_inputs_are_left_out_of_any_json_cut_anywhere(runs: list[dict[str, object]], sizes: list[int], tight: bool):
    separators = (",", ":") if tight else (", ", " : ")
    told = json.dumps({"data": runs, "links": {"input": 1}}, separators=separators, indent=None if tight else 1)
    for run in runs:
        if isinstance(run.get("input"), str):
            run["input"] = ""
    assert json.loads(through(told.encode(), sizes, without_input())) == {"data": runs, "links": {"input": 1}}


@given(st.text(), st.text(), SIZES)
def test_an_input_is_kept_as_it_is_written(text: str, other: str, sizes: list[int]):
    kept = Aside()
    told = json.dumps({"a": other, "input": text, "b": other}).encode()
    rest = through(told, sizes, JsonField("input", lambda: kept))
    assert json.loads(rest) == {"a": other, "input": "", "b": other}
    assert json.loads(b'"' + kept.content + b'"') == text
