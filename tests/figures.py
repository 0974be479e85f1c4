"""What the report of a session ends with: figures that tests measured, and what was tested against what."""

TESTED = "tested against"
_sections: dict[str, list[str]] = {}


def note(title: str, *lines: str) -> None:
    """Add lines to a section of the report; one that is there is not repeated."""
    there = _sections.setdefault(title, [])
    there += [line for line in lines if line not in there]


def collected() -> list[tuple[str, list[str]]]:
    """Sections with their lines; what the figures are of comes last."""
    return sorted(_sections.items(), key=lambda section: section[0] == TESTED)
