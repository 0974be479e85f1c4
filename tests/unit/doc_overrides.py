"""What the pages about job templates and GPUs show, as the values that it is."""

import re
import textwrap
from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "templates.md"
GPUS = DOCS / "gpus.md"


def shown_below(heading: str, page: Path = PAGE) -> list[dict[str, Any]]:
    """The values and manifests that a section of a page shows.

    Raises:
        KeyError: the page has no such section, or it shows none.
    """
    sections = re.split(r"^##+ ", page.read_text(), flags=re.MULTILINE)
    for section in sections:
        title, _, text = section.partition("\n")
        if title == heading and (blocks := re.findall(r"\n\n( {4}\S.*\n(?: {4}.*\n|\n)*)", text)):
            return [yaml.safe_load(textwrap.dedent(block)) for block in blocks]
    raise KeyError(heading)


def values_below(heading: str, page: Path = PAGE) -> dict[str, Any]:
    """The values that a section of a page shows, which end it."""
    return shown_below(heading, page)[-1]


SIDECAR = "A sidecar that passes on a log file"
POOL = "A pool of machines for some algorithms"
INIT = "An init container for the whole site"
PROFILES = "Profiles"
APART = "Apart from others, or spread"
