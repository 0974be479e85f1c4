"""What the doctor's pods do: they listen, connect, look up, ask the server, and write; and tell what happened.

The text of this file is handed to `python -c` in an image that has Python and perhaps nothing else: it imports the
standard library alone. The order is in the variable DOCTOR, as JSON; the answer goes to kubelet's termination log,
which is how it gets into the pod's status, and to standard output.
"""

import contextlib
import json
import os
import socket
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

LONGEST = 4096  # bytes that kubelet takes (https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure)
_STEP = 1.0
_TRY = 3.0
_CALL = 15.0
_WORDS = 300  # characters of a message

Tree = dict[str, Any]


def listen(port: int, seconds: float) -> None:
    """Let everybody connect, over IPv4 and IPv6, for a while."""
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    with socket.create_server(
        ("", port), family=family, dualstack_ipv6=family is socket.AF_INET6, backlog=64
    ) as server:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            server.settimeout(left)
            with contextlib.suppress(OSError):
                server.accept()[0].close()


def connect(host: str, port: int) -> str:
    """What comes of a connection: `connected`, `timed out`, `refused`, `unresolved` or `unreachable`."""
    try:
        with socket.create_connection((host, port), timeout=_TRY):
            return "connected"
    except socket.gaierror:
        return "unresolved"
    except TimeoutError:
        return "timed out"
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "unreachable"


def connect_until(host: str, port: int, wanted: str, seconds: float) -> Tree:
    """Connect again and again until it comes to what is wanted (`open` or `shut`), or time is up.

    Returns:
        `first` and `last` outcome, and the seconds between them.
    """
    began = time.monotonic()
    first = last = connect(host, port)
    while (last == "connected") != (wanted == "open") and time.monotonic() - began < seconds:
        time.sleep(_STEP)
        last = connect(host, port)
    return {"first": first, "last": last, "seconds": round(time.monotonic() - began, 1)}


def look_up(name: str) -> Tree:
    """The addresses of a name."""
    try:
        found = socket.getaddrinfo(name, None, proto=socket.IPPROTO_TCP)
    except OSError as error:
        return {"error": str(error)[:_WORDS]}
    return {"addresses": sorted({str(entry[4][0]) for entry in found})}


def ask(url: str, key: str = "", authority: str = "") -> Tree:
    """Whether a vantage6 server answers at a URL, which release it is, and what it says of a key.

    Args:
        url: base of its API.
        key: the node's API key; empty: it is not asked about one.
        authority: PEM of an authority to trust besides the system's.
    """
    context = ssl.create_default_context()
    answer: Tree = {}
    try:
        if authority:
            context.load_verify_locations(cadata=authority)
        answer |= _call(url + "/version", context)
        if key and answer.get("status") == 200:
            body = json.dumps({"api_key": key}).encode()
            said = _call(url + "/token/node", context, body)
            answer["login"] = {name: said.get(name) for name in ("status", "message")}
    except (OSError, ValueError) as error:  # a certificate that can't be read is an OSError
        reason = getattr(error, "reason", error)
        answer["error"] = str(reason)[:_WORDS] or type(error).__name__
        answer["kind"] = type(reason).__name__
    return answer


def _call(url: str, context: ssl.SSLContext, body: "bytes | None" = None) -> Tree:
    headers = {"Content-Type": "application/json"} if body else {}
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310  the site's own address
    began = time.time()
    try:
        # The proxy that the environment names is used.
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
        with opener.open(request, timeout=_CALL) as answer:
            status, text, date = answer.status, answer.read(65536), answer.headers.get("Date")
    except urllib.error.HTTPError as error:
        status, text, date = error.code, error.read(65536), error.headers.get("Date")
    told: Tree = {"status": status}
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        read = json.loads(text)
        told |= {"version": read.get("version"), "message": str(read.get("msg", ""))[:_WORDS]}
    if date:
        told["ahead"] = _ahead((began + time.time()) / 2, date)
    return told


def _ahead(here: float, date: str) -> float:
    """Seconds by which this clock is ahead of the one that wrote a Date header."""
    return round(here - parsedate_to_datetime(date).timestamp(), 1)


def clock(url: str) -> Tree:
    """Seconds by which this clock is ahead of a server's, whose certificate need not be known: only Date is read."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        # Not through the site's HTTP proxy: this is the cluster's own API server.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        began = time.time()
        try:
            with opener.open(url, timeout=_CALL) as answer:
                date = answer.headers.get("Date")
        except urllib.error.HTTPError as error:
            date = error.headers.get("Date")
        return {"ahead": _ahead((began + time.time()) / 2, date)} if date else {}
    except (OSError, ValueError) as error:
        return {"error": str(getattr(error, "reason", error))[:_WORDS]}


def write(folder: str) -> str:
    """Whether a file can be made in a folder: `written`, or why not."""
    try:
        file = Path(folder) / "v6-node-doctor"
        file.write_text("x")
        file.unlink()
    except OSError as error:
        return error.strerror or type(error).__name__
    return "written"


def carry_out(order: Tree) -> Tree:
    """Everything that is asked, in the order in which it is asked; what is listened to is so for the whole time."""
    if "listen" in order:
        threading.Thread(target=listen, args=(order["listen"], 3600), daemon=True).start()
    answer: Tree = {}
    for name, (host, port, wanted) in (order.get("connect") or {}).items():
        answer.setdefault("connect", {})[name] = connect_until(host, port, wanted, order.get("seconds", 10))
    for name in order.get("look_up") or ():
        answer.setdefault("look_up", {})[name] = look_up(name)
    if "server" in order:
        answer["server"] = ask(order["server"], _content("key", order), _content("authority", order))
    if "clock" in order:
        answer["clock"] = clock(order["clock"])
    if "write" in order:
        answer["write"] = write(order["write"])
    return answer


def _content(name: str, order: Tree) -> str:
    """A text that the order names the file of."""
    return Path(order[name]).read_text().strip() if order.get(name) else ""


def main() -> None:
    """Carry out the order of the environment."""
    order = json.loads(os.environ["DOCTOR"])
    text = json.dumps(carry_out(order))
    print(text)
    Path(os.environ.get("DOCTOR_ANSWER", "/dev/termination-log")).write_text(text[:LONGEST])
    if "listen" in order:
        sys.stdout.flush()
        time.sleep(3600)


if __name__ == "__main__":
    main()
