"""An algorithm that behaves as told, well, badly or slowly, and looks around: so tests see how the node copes."""

from behave.endings import big_output, crash, exit_code, log_lines, sleep, tick
from behave.surroundings import environment, files, reach, write

__all__ = ["big_output", "crash", "environment", "exit_code", "files", "log_lines", "reach", "sleep", "tick", "write"]
