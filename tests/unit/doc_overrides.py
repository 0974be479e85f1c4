"""The worked overrides of docs/templates.md, as the values that they are."""

import re
import textwrap
from pathlib import Path
from typing import Any

import yaml

PAGE = Path(__file__).parents[2] / "docs" / "templates.md"


def values_below(heading: str) -> dict[str, Any]:
    """The values that a section of the page shows.

    Raises:
        KeyError: the page has no such section, or it shows none.
    """
    sections = re.split(r"^##+ ", PAGE.read_text(), flags=re.MULTILINE)
    for section in sections:
        title, _, text = section.partition("\n")
        if title == heading and (block := re.search(r"\n\n( {4}\S.*\n(?: {4}.*\n|\n)*)", text)):
            values: dict[str, Any] = yaml.safe_load(textwrap.dedent(block[1]))
            return values
    raise KeyError(heading)


SIDECAR = "A sidecar that passes on a log file"
POOL = "A pool of machines for some algorithms"
INIT = "An init container for the whole site"
PROFILES = "Profiles"
