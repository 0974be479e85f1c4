"""Gives one program a /proc with the file ``modules`` in it: ``python -I procview.py REAL PROGRAM ARGUMENT...``.

A kernel built without loadable modules has no /proc/modules, and cilium-agent will not start without reading it.
Run in a mount namespace of its own: /proc becomes a folder of links to the real one, bound at ``REAL``. Needed only
where the file is missing; what it lists are the modules that the agent wants and such a kernel has built in.
"""

import os
import subprocess
import sys
from pathlib import Path

_TABLES = ("nat", "mangle", "raw", "filter")
_BUILT_IN = (
    *("ip_tables", *(f"iptable_{name}" for name in _TABLES)),
    *("ip6_tables", *(f"ip6table_{name}" for name in _TABLES)),
    "xt_socket",
)


def main() -> None:
    real, program = Path(sys.argv[1]), sys.argv[2:]
    real.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", "/proc", str(real)], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "proc", "/proc"], check=True)
    mine = str(os.getpid())
    for name in os.listdir(real):  # noqa: PTH208 - names, not paths
        if not name.isdigit() or name in {"1", mine}:
            Path("/proc", name).symlink_to(real / name)
    Path("/proc/modules").write_text("".join(f"{name} 16384 0 - Live 0x0\n" for name in _BUILT_IN))
    os.execvp(program[0], program)  # noqa: S606 - it takes this one's place


if __name__ == "__main__":
    main()
