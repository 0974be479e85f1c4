"""The page on isolation agrees with the code."""

import re
from pathlib import Path

from launcher.rules import RULES, WAIVABLE

PAGE = (Path(__file__).parents[2] / "docs" / "isolation.md").read_text()


def test_the_table_has_every_rule_and_whether_it_can_be_waived() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\| (yes|no) \|$", PAGE, re.MULTILINE)
    assert dict(rows) == {name: "yes" if name in WAIVABLE else "no" for name in RULES}
