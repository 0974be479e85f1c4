"""Structured logs: one JSON object a line on standard output, with nothing secret in them."""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

# What a bearer token looks like wherever it turns up: three base64url parts, as in every JWT.
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
_HIDDEN = "[hidden]"

_secrets: set[str] = set()


def hide(secret: str) -> None:
    """Keep `secret` out of every line from now on, however it got there."""
    if secret:
        _secrets.add(secret)


def redact(text: str) -> str:
    """`text` without tokens and without any secret that was given to `hide`."""
    for secret in _secrets:
        text = text.replace(secret, _HIDDEN)
    return _TOKEN.sub(_HIDDEN, text)


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object; `extra={"fields": {...}}` adds fields to it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a JSON line, redacted."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return redact(json.dumps(line, default=str, ensure_ascii=False))


def configure(level: str) -> None:
    """Send the logs of the whole process to standard output as JSON lines.

    Args:
        level: one of DEBUG, INFO, WARNING, ERROR, CRITICAL; libraries never log below WARNING,
            because at DEBUG they print headers.
    """
    # The original one: vantage6-common puts colorama before it, which looks for colours in every line.
    handler = logging.StreamHandler(sys.__stdout__)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    for package in ("launcher", "proxy"):
        logging.getLogger(package).setLevel(level)
