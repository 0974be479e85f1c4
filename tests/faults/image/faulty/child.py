"""Becomes the product's program, after its steps were wrapped."""

import os
import runpy
import sys
from pathlib import Path

from . import DIRECTOR
from .director import Director
from .seam import distort_watches, wrap_all


def main() -> None:
    """Be `python -m` of the words on the command line."""
    host, _, port = os.environ[DIRECTOR].rpartition(":")
    director = Director(host, int(port))
    wrap_all(director.at)
    distort_watches(director)
    director.report_now_and_then()
    sys.argv = sys.argv[1:]
    # As `python -m` does it: the product is found where it works, not where this file is.
    sys.path.insert(0, str(Path.cwd()))
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
