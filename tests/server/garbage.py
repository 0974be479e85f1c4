"""Requests that no algorithm would make: bad lines, tokens, paths, sizes and encodings, as bytes on a connection."""

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BLOB = "0f9f4b7e-0000-4000-8000-000000000000"
_TASK_LIMIT = 2**26  # bytes; what the proxy reads of a new task


@dataclass(frozen=True)
class Known:
    """What there is at the server: good and bad tokens by name, and an algorithm's own and other objects."""

    tokens: dict[str, str]
    own_task: int
    own_run: int
    other_task: int
    other_run: int
    new_task: dict[str, Any]


def request(method: str, target: str, headers: dict[str, str], body: bytes, *, close: bool = True) -> bytes:
    """A request as it stands: a client library would put garbage in order."""
    lines = [f"{method} {target} HTTP/1.1", "Host: x", *(["Connection: close"] if close else [])]
    if not {"Transfer-Encoding", "Content-Length"} & headers.keys():
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def by_chance(chance: random.Random, known: Known) -> bytes:
    """Method, target, headers and body, each good or bad by chance."""
    pick = chance.choice
    text = "".join(pick("aé/%.\\?&=#;$ '\"\x7f0123456789{}[]<>") for _ in range(chance.randrange(40)))
    headers = {
        "Authorization": pick([*["Bearer "] * 6, "bearer ", "Basic ", ""]) + _bearer(chance, known, text),
        "Content-Type": pick(["application/json", "text/plain", "application/json; charset=utf-16", "x", "/", "\xff"]),
        "X-Public-Key": pick(["", "x", "$" * 100, "e30=", "A" * 10_000]),
    }
    method = pick([*["GET"] * 6, *["POST"] * 4, "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "get", "BREW"])
    return request(method, _target(chance, known, text), headers, _body(chance, known, text))


def _bearer(chance: random.Random, known: Known, text: str) -> str:
    good = [known.tokens["own"]] * 12
    broken = [known.tokens["own"] + "x", text.encode().hex(), "a.b.c", "." * 500, "", "e30.bnVsbA.x"]
    return chance.choice([*good, *known.tokens.values(), *broken])


def _target(chance: random.Random, known: Known, text: str) -> str:
    ours, others = (known.own_task, known.own_run), (known.other_task, known.other_run)
    number = chance.choice(
        [*ours * 4, *others * 2, "0", "-1", "9" * 18, "9" * 30, "1e3", "\xb2", BLOB, "", "..", "%00"]
    )
    quoted = "".join(f"%{chance.randrange(256):02x}" for _ in range(chance.randrange(20)))
    return chance.choice(
        [
            f"/task/{number}",
            f"/run/{number}",
            f"/result/{number}",
            f"/result?task_id={number}&{quoted}",
            f"/run?task_id={number}&task_id=5",
            f"/run?task_id={known.own_task}&page={number}&sort={quoted}",
            f"/blobstream/{number}",
            f"/organization/{number}",
            f"/organization?collaboration_id={known.new_task['collaboration_id']}&per_page={number}",
            f"/{quoted}",
            "/task",
            "/task",
            "/blobstream",
            "/" + "a/" * chance.randrange(2000),
            "/result?" + "task_id=5&" * chance.randrange(3000),
            f"/result?task_id={known.own_task}&x=" + "y" * chance.randrange(60_000),
            "/task/\0", "/\xe9\xff", f"/../{known.own_task}", "*", "http://127.0.0.1/task", "//task/1",
            "/" + "".join(c for c in text if c.isascii() and c.isprintable() and c != " "),
        ]
    )  # fmt: skip


def _body(chance: random.Random, known: Known, text: str) -> bytes:
    task = known.new_task
    bad = [None, 1, "x", [], {}, [[]], [{"id": 2**70}], [{"id": 1, "input": "%"}], text, float("nan")]
    deep = chance.choice([50, 300, 900, 950, 980, 990, 5000])
    nested = json.dumps(task)[:-1] + ', "description": ' + "[" * deep + "]" * deep + "}"
    return chance.choice(
        [
            chance.randbytes(chance.randrange(200)),
            json.dumps({**task, chance.choice(list(task)): chance.choice(bad)}).encode(),
            json.dumps(task).encode("utf-16"),
            nested.encode(),
            b"[" * 100_000,
            b'{"organizations": ' + b"9" * 5000 + b"}",
            b'{"a": "\\ud800"}',
            b"x" * chance.randrange(10**6),
            b"",
        ]
    )


def special(known: Known) -> dict[str, Callable[[], bytes]]:
    """Requests that chance would not find, by what is wrong with them."""
    bearer = {"Authorization": f"Bearer {known.tokens['own']}"}
    task = json.dumps(known.new_task).encode()
    one = request("GET", f"/task/{known.own_task}", bearer, b"", close=False)
    chunked = {**bearer, "Transfer-Encoding": "chunked"}

    def post(target: str, body: bytes, **headers: str) -> bytes:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return request("POST", target, {**bearer, **named}, body)

    return {
        "a task that is too large": lambda: post("/task", b"x" * (_TASK_LIMIT + 1)),
        "a chunked task that is too large": lambda: request(
            "POST", "/task", chunked, (b"100000\r\n" + b"x" * 2**20 + b"\r\n") * 65 + b"0\r\n\r\n"
        ),
        "an upload that says that it is too large": lambda: post("/blobstream", b"x", Content_Length=str(2**31)),
        "a length that is none": lambda: post("/task", task, Content_Length="-1"),
        "two lengths": lambda: post("/task", task, Content_Length=f"{len(task)}\r\nContent-Length: 1"),
        "a length and chunks": lambda: request("POST", "/task", {**chunked, "Content-Length": "5"}, task),
        "chunks that are none": lambda: request("POST", "/task", chunked, b"zz\r\n" + task),
        "a chunk, and then none": lambda: request("POST", "/task", chunked, b"5\r\nhello\r\nzz\r\n"),
        "an upload of a chunk, and then none": lambda: request("POST", "/blobstream", chunked, b"1\r\nh\r\nzz\r\n"),
        "said to be gzip": lambda: post("/task", task, Content_Encoding="gzip"),
        "an upload said to be deflate": lambda: post("/blobstream", task, Content_Encoding="deflate"),
        "gzip": lambda: post("/task", gzip.compress(task), Content_Encoding="gzip"),
        "an upload of gzip": lambda: post("/blobstream", gzip.compress(b"x" * 10**6), Content_Encoding="gzip"),
        "a small body that unpacks to a large one": lambda: post(
            "/task", gzip.compress(bytes(2**28), 1), Content_Encoding="gzip"
        ),
        "an encoding of nobody": lambda: post("/task", task, Content_Encoding="rot13"),
        "headers of 100 KiB": lambda: post("/task", task, X_Large="x" * 100_000),
        "headers of 300 KiB": lambda: post("/task", task, X_Large="x" * 300_000),
        "a token of 100 KiB": lambda: request("GET", "/task/1", {"Authorization": "Bearer " + "x" * 100_000}, b""),
        "two thousand headers": lambda: post("/task", task, **{f"X_{index}": "x" for index in range(2000)}),
        "two tokens": lambda: request(
            "GET", "/task/1", {"Authorization": f"Bearer x\r\nAuthorization: {bearer['Authorization']}"}, b""
        ),
        "three in one": lambda: one + one + request("GET", f"/task/{known.other_task}", bearer, b""),
        "one, and then no HTTP": lambda: one + b"\0\1\2\r\n\r\n",
        "no HTTP": lambda: known.tokens["own"].encode() + b"\r\n\r\n",
        "a header that is none": lambda: request("GET", "/task/1", {"A\0B": known.tokens["own"]}, b""),
        "TLS": lambda: bytes.fromhex("1603010200010001fc0303") + bytes(500),
        "HTTP/2": lambda: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/0.9": lambda: b"GET /task/1\r\n\r\n",
        "CONNECT": lambda: request("CONNECT", "127.0.0.1:80", bearer, b""),
        "a websocket": lambda: request(
            "GET", "/task", {**bearer, "Upgrade": "websocket", "Sec-WebSocket-Key": "x"}, b""
        ),
        "asked to go on": lambda: post("/task", task, Expect="100-continue"),
        "asked for something else": lambda: post("/task", task, Expect="the best"),
    }


def endless(known: Known, target: str) -> bytes:
    """The beginning of a chunked body that never ends."""
    headers = {"Authorization": f"Bearer {known.tokens['own']}", "Transfer-Encoding": "chunked"}
    return request("POST", target, headers, b"10000\r\n" + b"x" * 2**16 + b"\r\n")
