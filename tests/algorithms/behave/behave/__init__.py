"""An algorithm that behaves as told, well, badly or slowly, and looks around: so tests see how the node copes."""

from behave.endings import (
    big_output,
    crash,
    device,
    exit_code,
    fill,
    flood,
    leave,
    log_lines,
    signalled,
    sleep,
    tell,
    tick,
    use,
    use_memory,
)
from behave.surroundings import environment, fetch, files, reach, resolve, write

__all__ = [
    "big_output",
    "crash",
    "device",
    "environment",
    "exit_code",
    "fetch",
    "files",
    "fill",
    "flood",
    "leave",
    "log_lines",
    "reach",
    "resolve",
    "signalled",
    "sleep",
    "tell",
    "tick",
    "use",
    "use_memory",
    "write",
]
