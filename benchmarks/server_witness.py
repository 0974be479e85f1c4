"""A process between a node and the server that writes down what passes: `python -m benchmarks.server_witness`.

Arguments: the address to listen on, the base of the server's URL, and the file to write: a JSON object a line, of the
kind `exchange` or `word` (what passed a websocket). It prints its port, and ends when its standard input does. A
process of its own, so that it sees things when they happen, whatever else the benchmark has to do.
"""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from tests.stage.recorder import Exchange, Recorder


def write(file: IO[str], kind: str, **facts: Any) -> None:
    """Write a line."""
    file.write(json.dumps({"kind": kind, **facts}) + "\n")
    file.flush()


def watch(address: str, target: str, path: Path) -> None:
    """Be between a node and a server until standard input ends."""
    with path.open("a") as file:

        def note(exchange: Exchange) -> bool:
            write(file, "exchange", **{key: value for key, value in asdict(exchange).items() if key != "headers"})
            return False

        def overheard(of_server: bool, text: str) -> None:
            write(file, "word", at=time.time(), of_server=of_server, text=text)

        with Recorder(address, target, withhold=note, overhear=overheard) as recorder:
            print(recorder.port, flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    watch(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
