"""The average of a column of a CSV file, by the conventions of the proof of concept; and a look at the network around.

    python app.py INPUT_FILE COLUMN OUTPUT_FILE [SECONDS]

It stays for some seconds at the end, ten unless told otherwise, so that somebody can look at its pod.
"""

import base64
import csv
import math
import os
import socket
import sys
import time
from pathlib import Path

PROXY = ("proxyserver", 80)
# An address for documentation. Where it leads nowhere anyway, name another by the variable OUTSIDE.
OUTSIDE = "203.0.113.10"
SECONDS = 3.0


def average(path: str, column: str) -> float:
    """The average of the column's values; rows without one don't count."""
    with Path(path).open(newline="") as file:
        values = [float(row[column]) for row in csv.DictReader(file) if row[column]]
    return math.fsum(values) / len(values)


def connects(host: str, port: int) -> bool:
    """Whether somebody answers there."""
    try:
        socket.create_connection((host, port), timeout=SECONDS).close()
    except OSError:
        return False
    return True


def variable(name: str, default: str) -> str:
    """A variable of the environment, which nodes encode in base32 with `!` for `=`."""
    text = os.environ.get(name)
    return base64.b32decode(text.replace("!", "=")).decode() if text else default


def main(input_file: str, column: str, output_file: str, seconds: str = "10") -> None:
    print(f"The average of {column} in {input_file}")
    found = average(input_file, column)
    Path(output_file).write_text(repr(found))
    outside = variable("OUTSIDE", OUTSIDE)
    print("Outbound access is", "ENABLED" if connects(outside, 443) else "disabled", f"({outside})")
    print("The proxy is", "reachable" if connects(*PROXY) else "NOT REACHABLE", f"({PROXY[0]})")
    print("input:", sorted(path.name for path in Path(input_file).parent.iterdir()))
    time.sleep(float(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
