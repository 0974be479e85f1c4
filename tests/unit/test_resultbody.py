import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from launcher import translation
from launcher.session.resultbody import ResultBody
from launcher.translation import ToBase64


@given(st.dictionaries(st.text(), st.text(), min_size=1), st.binary(max_size=40))
async def test_the_pieces_are_one_json_object_of_the_promised_length(fields, result):
    fields.pop("result", None)
    fields["status"] = "completed"
    before, translation.PIECE_BYTES = translation.PIECE_BYTES, 6
    try:
        body = ResultBody(fields, result, ToBase64)
        for _ in range(2):  # a second time, as after a renewed token
            text = b"".join([piece async for piece in body.pieces()])
            assert str(len(text)) == body.headers["Content-Length"]
            assert json.loads(text) == {**fields, "result": base64.b64encode(result).decode()}
    finally:
        translation.PIECE_BYTES = before
