"""Questions to the running launcher, over its status port, by a pod or a command beside it."""

import json
import urllib.error
import urllib.request
from typing import Any


class NoAnswer(Exception):  # noqa: N818
    """The launcher did not answer; the message says what to look at."""


def ask(url: str, route: str, seconds: float) -> dict[str, Any]:
    """Have the launcher do something, and return what came of it.

    Args:
        url: of its status port.
        route: what is asked, as in `launcher/status.py`.
        seconds: how long it may take.

    Raises:
        NoAnswer: it can't be reached, is not far enough yet, or does not do it.
    """
    request = urllib.request.Request(f"{url}/{route}", method="POST")  # noqa: S310  the chart's own address
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        raise NoAnswer(f"The launcher can't do that now ({error.code}). {_reason(error.read())}") from error
    except OSError as error:
        raise NoAnswer(
            f"The launcher at {url} does not answer ({error}); see the log of v6-node-launcher-0."
        ) from error


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["reason"])
    except (ValueError, LookupError, TypeError):
        return ""
