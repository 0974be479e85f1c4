"""Starts the product's program, and again whenever a test killed it: kubelet would wait longer each time.

python -m faulty launcher run
"""

import os
import signal
import subprocess
import sys

from . import DIRECTOR, STRUCK


def main() -> int:
    """Be the container's first process; returns the program's exit status."""
    words = sys.argv[1:]
    if DIRECTOR not in os.environ:
        os.execv(sys.executable, [sys.executable, "-m", *words])
    STRUCK.unlink(missing_ok=True)
    while True:
        child = subprocess.Popen([sys.executable, "-m", "faulty.child", *words])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _, child=child: child.send_signal(number))
        status = child.wait()
        if not (status == -signal.SIGKILL and STRUCK.exists()):
            return status if status >= 0 else 128 - status
        STRUCK.unlink()


if __name__ == "__main__":
    sys.exit(main())
