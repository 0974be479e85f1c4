"""What is executed in the launcher's pod for `status` and `logs`: its text is handed to `python -c` there.

It imports the standard library alone, so that it starts at once, and whatever release of the node is there.
"""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def status(base: str, routes: list[str]) -> dict[str, Any]:
    """What the launcher answers by route; one that does not answer is left out."""
    told: dict[str, Any] = {}
    for route in routes:
        try:
            with urllib.request.urlopen(f"{base}/{route}", timeout=15) as answer:  # noqa: S310  this very pod
                text = answer.read()
        except urllib.error.HTTPError as error:
            text = error.read()
        except OSError:
            continue
        try:
            told[route] = json.loads(text)
        except ValueError:
            told[route] = text.decode(errors="replace")
    return told


def kept(tasks: Path, run: str) -> Iterator[bytes] | None:
    """The log of a run as the task volume has it (launcher/keptlog.py), only read; None if there is none."""
    found = [*tasks.glob(f"runs/{run}-*/log"), *tasks.glob(f"logs/{run}-*")]
    if not found:
        return None
    newest = max(found, key=lambda folder: folder.stat().st_mtime)
    return _parts(sorted(path for path in newest.iterdir() if path.name.isdecimal()))


def _parts(paths: list[Path]) -> Iterator[bytes]:
    so_far = 0
    for path in paths:
        offset, text = int(path.name), path.read_bytes()
        if offset > so_far:
            yield b"\n[... %d bytes left out ...]\n" % (offset - so_far)
        yield text
        so_far = offset + len(text)


def main(order: str, place: str, *what: str) -> int:
    """`status` with a base URL and routes; or `log` with a folder and a run. The answer is the exit code."""
    if order == "status":
        print(json.dumps(status(place, list(what))))
        return 0
    log = kept(Path(place), what[0])
    for part in log or ():
        sys.stdout.buffer.write(part)
    return 0 if log is not None else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
