"""What the report of a session ends with: figures that tests measured, and what was tested against what."""

_sections: dict[str, list[str]] = {}


def note(title: str, *lines: str) -> None:
    """Add lines to a section of the report."""
    _sections.setdefault(title, []).extend(lines)


def collected() -> list[tuple[str, list[str]]]:
    return list(_sections.items())
