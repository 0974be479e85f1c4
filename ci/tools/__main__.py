"""`python -m ci.tools`: install what is missing and print the folder, for `PATH="$(python -m ci.tools):$PATH"`."""

import argparse
import sys

from ci.tools import ToolsError, bin_dir


def main() -> int:
    """Install and print; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ci.tools", description=__doc__)
    parser.add_argument(
        "--no-go",
        action="store_true",
        help="only helm, helm3 and kubectl; do not build ct, helm-unittest and helm-docs",
    )
    options = parser.parse_args()
    try:
        print(bin_dir(go_tools=not options.no_go))
    except ToolsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
