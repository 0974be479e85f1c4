import json
import logging
import sys

import jwt

from launcher import logs


def line_of(message, **fields):
    record = logging.LogRecord("launcher", logging.INFO, __file__, 1, message, None, None)
    record.fields = fields
    return logs.JsonLines().format(record)


def test_a_line_is_json_with_its_fields():
    line = json.loads(line_of("started", run=7))
    assert (line["event"], line["run"], line["level"]) == ("started", 7, "INFO")


def test_a_hidden_secret_never_shows(monkeypatch):
    monkeypatch.setattr(logs, "_secrets", set())
    logs.hide("6a1c-secret")
    assert "6a1c-secret" not in line_of("key 6a1c-secret", reason="with 6a1c-secret")


def test_a_token_never_shows_even_if_nobody_hid_it():
    token = jwt.encode({"sub": 1}, "k" * 32, algorithm="HS256")
    assert token not in line_of(f"Bearer {token}", header=token)


def test_lines_go_out_past_what_libraries_put_before_standard_output(monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logs.configure("INFO")
    (handler,) = logging.getLogger().handlers
    assert handler.stream is sys.__stdout__
