"""`python -m ci.images [NAME...]`: build what changed and print NAME REF DIGEST TAR of each image."""

import sys
from typing import Annotated

import typer

from ci.images import BuildError, ensure


def main(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Only these images; default: all.")
    ] = None,
) -> None:
    """Build the images whose inputs changed, and print NAME REF DIGEST TAR of each."""
    try:
        images = ensure(names)
    except BuildError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    for image in images.values():
        print(image.name, image.ref, image.digest, image.tar)


if __name__ == "__main__":
    typer.run(main)
